"""What a salesperson reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.handover.domain import words
from services.handover.domain.lead import SalesLead, rank
from shared.lifecycle import Stage, reasons_for
from shared.reasons import RETURN_REASONS, Reason

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("past", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=42), "42 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=34), "34 days ago"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(past: timedelta, said: str) -> None:
    assert words.ago(NOW - past, NOW) == said


def test_a_reason_says_what_the_person_did_and_then_how_good_the_lead_is() -> None:
    lead = SalesLead(score=57.04, temperature="hot", reason="demo_requested", asked_for="demo_requested")
    lead.asked_at = lead.since = NOW - timedelta(seconds=42)
    assert words.reason(lead, NOW) == "Asked for a demo 42 seconds ago; score 57, hot"


def test_what_is_unknown_is_called_unknown() -> None:
    lead = SalesLead(reason="score_reached", since=NOW - timedelta(hours=3))
    assert words.reason(lead, NOW) == "Reached the score for sales 3 hours ago; score unknown"


@pytest.mark.parametrize("stage", [Stage.registered, Stage.iql, Stage.mql, Stage.returned, Stage.lost])
def test_every_reason_to_come_to_sales_has_its_words(stage: Stage) -> None:
    for reason in reasons_for(stage, Stage.sql):
        lead = SalesLead(score=1.0, reason=reason, since=NOW)
        assert not words.reason(lead, NOW).startswith("Came to sales"), reason


def test_every_reason_to_return_has_a_label() -> None:
    assert set(words.RETURN_LABELS) == RETURN_REASONS
    assert words.label("no_budget") == "no budget"


@pytest.mark.parametrize(
    ("name", "title", "company", "said"),
    [
        ("Mara Lindqvist", "head of operations", "Norrvik", "Mara Lindqvist, head of operations"),
        ("Mara Lindqvist", "", "Norrvik", "Mara Lindqvist"),
        ("", "head of operations", "Norrvik", "Somebody at Norrvik"),
        ("", "", "", "Somebody without a name"),
    ],
)
def test_who_it_is(name: str, title: str, company: str, said: str) -> None:
    assert words.who(name, title, company) == said


@pytest.mark.parametrize(
    ("name", "shown"), [("Mara Lindqvist", "Mara L."), ("Anna von der Tann", "Anna T."), ("Mara", "Mara"), ("", "")]
)
def test_a_name_is_cut_before_somebody_accepts(name: str, shown: str) -> None:
    assert words.cut(name) == shown


@pytest.mark.parametrize(
    ("asked_for", "product", "said"),
    [
        ("demo_requested", "loggers", "A demo of loggers"),
        ("demo_requested", "", "A demo"),
        ("call", "loggers", "To talk about loggers"),
        ("", "loggers", "loggers"),
        ("", "", ""),
    ],
)
def test_what_they_want(asked_for: str, product: str, said: str) -> None:
    assert words.wants(SalesLead(asked_for=asked_for), product) == said


def test_why_now_tells_what_the_rep_before_said() -> None:
    lead = SalesLead(reason=Reason.hold_ended, since=NOW - timedelta(minutes=5))
    assert words.why_now(lead, None, None, lambda at: words.ago(at, NOW)) == "May be worth another try 5 minutes ago"
    told = words.why_now(lead, "no_budget", "Ask again in May.", lambda at: words.ago(at, NOW))
    assert told == "May be worth another try 5 minutes ago. Returned before: no budget (“Ask again in May.”)"


def test_a_mail_says_a_moment_that_stays_true() -> None:
    lead = SalesLead(asked_for="demo_requested", asked_at=datetime(2026, 11, 17, 23, 32, tzinfo=UTC))
    told = words.why_now(lead, None, None, lambda at: words.on(at, ZoneInfo("Europe/Berlin")))
    assert told == "Asked for a demo on 18 November at 00:32"


def test_the_hottest_comes_first_and_the_unknown_last() -> None:
    assert sorted(["", "cold", "hot", "warm"], key=rank) == ["hot", "warm", "cold", ""]
