from __future__ import annotations

import http
import json
from typing import Any

import asyncpg
import pytest
import sqlalchemy.exc
from fastapi import HTTPException

from shared.database import is_transient
from shared.errors import Malformed, NotFound, Problem, Refused, Unauthorised, Unavailable
from shared.problems import answer_to, problem


class LeadSuppressed(Refused):
    """This person asked not to be written to."""

    title = "Suppressed"


def document(error: Exception) -> dict[str, Any]:
    answer = answer_to(error)
    assert answer.media_type == "application/problem+json"
    said = json.loads(bytes(answer.body))
    assert said["status"] == answer.status_code
    return said


def test_a_refusal_carries_its_own_members() -> None:
    assert document(Refused("Sales owns this lead.", owner="handover")) == {
        "type": "urn:leadline:problem:refused",
        "title": "Refused",
        "status": 409,
        "detail": "Sales owns this lead.",
        "owner": "handover",
    }


def test_members_cannot_displace_those_of_the_standard() -> None:
    said = json.loads(bytes(problem(409, title="Refused", instance="x").body))
    assert said["instance"] == "x"
    assert document(Refused("no", title="Other"))["title"] == "Refused"


def test_the_docstring_is_the_message_and_the_class_the_type() -> None:
    said = document(LeadSuppressed())
    assert said["detail"] == "This person asked not to be written to."
    assert said["type"] == "urn:leadline:problem:lead-suppressed"


def test_what_cannot_be_read_says_where() -> None:
    said = document(Malformed(problems=[("/activity/type", "is not a known type"), ("/email", "has no domain")]))
    assert said["status"] == 422
    assert said["errors"] == [
        {"pointer": "/activity/type", "detail": "is not a known type"},
        {"pointer": "/email", "detail": "has no domain"},
    ]


def test_each_word_has_its_status() -> None:
    words = [Malformed(), NotFound(), Unauthorised(), Unavailable(), Refused(), Problem()]
    assert [document(word)["status"] for word in words] == [422, 404, 401, 503, 409, 500]


def test_what_is_unavailable_says_when_to_ask_again() -> None:
    assert answer_to(Unavailable()).headers["retry-after"] == "1"


def test_a_missing_key_says_how_to_show_one() -> None:
    assert answer_to(Unauthorised()).headers["www-authenticate"] == "Bearer"


def test_a_framework_error_keeps_its_status_and_headers() -> None:
    answer = answer_to(HTTPException(405, headers={"Allow": "GET"}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert document(HTTPException(404)) == {"type": "about:blank", "title": "Not Found", "status": 404}


def test_a_bug_tells_nothing_of_itself() -> None:
    said = document(RuntimeError("SELECT * FROM capture.lead WHERE email = 'anna@example.com'"))
    assert said["status"] == 500
    assert "SELECT" not in json.dumps(said)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.LockNotAvailableError(),
        asyncpg.QueryCanceledError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.InterfaceError("connection is closed"),
        sqlalchemy.exc.TimeoutError(),
    ],
)
def test_an_outage_asks_to_come_again(error: Exception) -> None:
    assert is_transient(error)
    answer = answer_to(error)
    assert (answer.status_code, answer.headers["retry-after"]) == (http.HTTPStatus.SERVICE_UNAVAILABLE, "1")


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        FileNotFoundError("template.html"),
        asyncpg.UndefinedTableError(),
        asyncpg.UniqueViolationError(),
        sqlalchemy.exc.InvalidRequestError(),
    ],
)
def test_no_waiting_mends_a_bug(error: Exception) -> None:
    assert not is_transient(error)
    assert answer_to(error).status_code == 500
