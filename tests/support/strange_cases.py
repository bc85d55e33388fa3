"""What schemathesis thinks of to ask a documented route. Loading it takes a second, so who asks imports this late."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import Retry

from tests.support.installation import KEY

EXAMPLES = 8
# As a caller should: told 503 and when to come again, it comes again. One who is always told so says it in the end.
COMING_AGAIN = Retry(
    20, connect=0, read=0, status=20, status_forcelist=[503], allowed_methods=None, raise_on_status=False
)
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


def operations_of(url: str) -> list[Any]:
    """Each documented operation of the service at `url`."""
    return [found.ok() for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]


def ask_strangely(operation: Any) -> None:
    """With what its document allows and with what it does not; raises where an answer is not as the document says."""
    with requests.Session() as session:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no case is to know of the one before
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=COMING_AGAIN))
        for mode in GenerationMode:
            _ask(operation, mode, session)


def _ask(operation: Any, mode: GenerationMode, session: requests.Session) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {KEY}"}, timeout=30, session=session)
        case.validate_response(answer, checks=CHECKS)

    ask()
