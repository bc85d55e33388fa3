from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pydantic
import pytest
import structlog

from shared.logs import configure_logs
from shared.trace import traced

CANARIES = ("anna@example.com", "Ms Canary", "+49 30 1234567", "0301234567", "hunter2", "I would like a demo")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    handlers, level, disabled = root.handlers[:], root.level, access.disabled
    yield
    root.handlers[:], root.level, access.disabled = handlers, level, disabled
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    written = capsys.readouterr()
    assert written.err == ""
    assert not [canary for canary in CANARIES if canary in written.out]
    return [json.loads(line) for line in written.out.splitlines()]


def test_a_line_is_json_with_service_level_time_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("scoring", console=False)
    with traced() as trace:
        structlog.get_logger().info("batch applied", events=12, topic="leads.activity", lead_id=UUID(int=7))
    (line,) = said(capsys)
    assert datetime.fromisoformat(str(line.pop("timestamp"))).tzinfo == UTC
    assert line == {
        "event": "batch applied",
        "service": "scoring",
        "level": "info",
        "trace_id": trace[3:35],
        "events": 12,
        "topic": "leads.activity",
        "lead_id": "00000000-0000-0000-0000-000000000007",
    }


def test_nothing_of_a_person_gets_through_under_any_key(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("capture", console=False)
    structlog.get_logger().info(
        "lead anna@example.com came in, call +49 30 1234567",
        email="anna@example.com",
        lead_phone="0301234567",
        full_name="Ms Canary",
        smtp_password="hunter2",
        api_key="hunter2",
        harmless="anna@example.com",
        remark="I would like a demo",
        reason="bounced for anna@example.com",
        nested={"email": "anna@example.com", "deep": [{"body": "I would like a demo"}, "anna@example.com"]},
        body=b"I would like a demo",
    )
    (line,) = said(capsys)
    assert line["event"] == "lead [email] came in, call [phone]"
    assert line["email"] == line["lead_phone"] == line["full_name"] == line["api_key"] == "[removed]"
    assert line["remark"] == "[text removed]"
    assert line["reason"] == "bounced for [email]"
    assert line["nested"] == {"email": "[removed]", "deep": [{"body": "[removed]"}, "[email]"]}


@pytest.mark.parametrize("value", ["2026-03-01", "10.5", "0198c5f2-1f3e-7c3a-9d51-123456789012", "1234", "8001/8002"])
def test_ids_dates_and_figures_are_not_taken_for_telephone_numbers(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("capture", console=False)
    structlog.get_logger().info(f"seen {value}", place=value)
    (line,) = said(capsys)
    assert (line["event"], line["place"]) == (f"seen {value}", value)


def test_an_exception_says_its_kind_and_place_but_not_the_value_it_choked_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("capture", console=False)

    class Card(pydantic.BaseModel):
        age: int

    def fail(error: Exception) -> None:
        try:
            raise error
        except Exception:
            structlog.get_logger().exception("request failed")

    fail(ValueError("invalid literal for int(): 'Ms Canary'"))
    fail(asyncpg.UniqueViolationError('Key (email)=(anna@example.com) exists for "I would like a demo"'))
    with pytest.raises(pydantic.ValidationError) as caught:
        Card.model_validate({"age": "Ms Canary"})
    fail(caught.value)
    fail(KeyError("lead_id"))
    lines = said(capsys)
    assert [line["exception"] for line in lines] == [
        "ValueError: invalid literal for int(): …",
        "UniqueViolationError: Key (email)=… exists for …",
        "ValidationError: 1 validation error for Card",
        "KeyError: 'lead_id'",
    ]
    assert all(":fail" in str(line["at"]) for line in lines)


def test_the_standard_librarys_loggers_say_it_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("capture", console=False)
    logging.getLogger("uvicorn.error").info("Started for %s", "anna@example.com")
    logging.getLogger("uvicorn.access").info("GET /v1/leads?email=anna@example.com")
    try:
        raise RuntimeError("no")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in application")
    started, failed = said(capsys)
    assert (started["event"], started["service"], started["level"]) == ("Started for [email]", "capture", "info")
    assert failed["exception"] == "RuntimeError: no"
    assert set(started) == {"event", "service", "level", "timestamp"}


def test_for_a_person_watching_lines_are_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("capture", console=True)
    structlog.get_logger().info("ready", port=8001, email="anna@example.com")
    out = capsys.readouterr().out
    assert "ready" in out
    assert "port=8001" in out
    assert "anna@" not in out


def test_a_client_of_kafka_that_repeats_itself_is_heard_once_and_everybody_else_always(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("scoring", console=False)
    for port in range(50):
        logging.getLogger("aiokafka.conn").error("Unable connect to node %s", port)
        logging.getLogger("uvicorn.error").error("refused %s", port)
    logging.getLogger("aiokafka.conn").error("something else")
    lines = [line["event"] for line in said(capsys)]
    assert [line for line in lines if str(line).startswith("Unable")] == ["Unable connect to node 0"]
    assert len([line for line in lines if str(line).startswith("refused")]) == 50
    assert lines[-1] == "something else"
