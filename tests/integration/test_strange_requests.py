"""Every documented route is asked what nobody thought of; it answers as its document says and never with a bug."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.events.topics import SERVICES
from tests.support.installation import KEY, Installation, installation
from tests.support.servers import Databases

EXAMPLES = 8
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
# Their answers never end; they have tests of their own.
STREAMS = {"/v1/events", "/v1/stream"}


@pytest.fixture(scope="module")
def asked(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("asked"), fresh_database()) as running:
        yield running


@pytest.mark.parametrize("service", SERVICES)
def test_no_documented_route_has_a_bug_for_an_answer(asked: Installation, service: str) -> None:
    schema = schemathesis.openapi.from_url(f"{asked.url(service)}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations
    for operation in operations:
        if operation.path not in STREAMS:
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


@pytest.mark.parametrize("rep", ["Nobody\0", "\0"])
def test_a_character_that_cannot_be_kept_is_named(asked: Installation, rep: str) -> None:
    path = "/v1/leads/0198c5f2-0000-7000-8000-000000000000/accept"
    with asked.api("handover") as handover:
        answer = handover.post(path, json={"rep": rep})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "A text in it holds the character U+0000, which cannot be kept.",
    )
