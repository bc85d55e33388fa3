"""What schemathesis thinks of to ask a documented route. Loading it takes a second, so who asks imports this late."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.installation import KEY

EXAMPLES = 8
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


def operations_of(url: str) -> list[Any]:
    """Each documented operation of the service at `url`."""
    return [found.ok() for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]


def ask_strangely(operation: Any) -> None:
    """With what its document allows and with what it does not; raises where an answer is not as the document says."""
    for mode in GenerationMode:
        _ask(operation, mode)


def _ask(operation: Any, mode: GenerationMode) -> None:
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
        answer = case.call(headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
        case.validate_response(answer, checks=CHECKS)

    ask()
