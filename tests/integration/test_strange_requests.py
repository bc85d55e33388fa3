"""Every documented route is asked what nobody thought of; it answers as its document says and never with a bug."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.events.topics import SERVICES
from tests.support.installation import Installation, installation
from tests.support.servers import Databases

# Their answers never end; they have tests of their own.
STREAMS = {"/v1/events", "/v1/stream"}


@pytest.fixture(scope="module")
def asked(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("asked"), fresh_database()) as running:
        yield running


@pytest.mark.parametrize("service", SERVICES)
def test_no_documented_route_has_a_bug_for_an_answer(asked: Installation, service: str) -> None:
    from tests.support.strange_cases import ask_strangely, operations_of

    operations = operations_of(asked.url(service))
    assert operations
    for operation in operations:
        if operation.path not in STREAMS:
            ask_strangely(operation)


@pytest.mark.parametrize("rep", ["Nobody\0", "\0"])
def test_a_character_that_cannot_be_kept_is_named(asked: Installation, rep: str) -> None:
    path = "/v1/leads/0198c5f2-0000-7000-8000-000000000000/accept"
    with asked.api("handover") as handover:
        answer = handover.post(path, json={"rep": rep})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "A text in it holds the character U+0000, which cannot be kept.",
    )
