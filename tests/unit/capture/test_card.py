"""A card keeps what was said last, forgets nothing that was said first, and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.capture.domain import card as cards
from services.capture.domain.submission import Activity, Permission, Submission
from shared.events.capture import CardChanged, Touch

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def said(day: int, *, channel: str = "direct", **what: Any) -> Submission:
    at = DAY + timedelta(days=day)
    fields = {"email": "mara@norrvik.example", **what}
    activity = Activity(type="form_submitted", at=at)
    return Submission(
        submission_id=UUID(int=day + 1000), activity=activity, touch=Touch(channel=channel, at=at), **fields
    )


def card_of(*submissions: Submission) -> CardChanged:
    card = cards.begin(submissions[0], DAY)
    for submission in submissions[1:]:
        card = cards.amend(card, submission, DAY)
    return card


def test_what_is_said_later_wins_and_what_is_left_out_stays() -> None:
    card = card_of(
        said(1, name="Mara", company="Norrvik", answers={"fleet": "11", "city": "Umeå"}, message="Hello"),
        said(2, name="Mara Lindqvist", answers={"fleet": "12"}),
    )
    assert (card.name, card.company, card.message) == ("Mara Lindqvist", "Norrvik", "Hello")
    assert card.answers == {"fleet": "12", "city": "Umeå"}
    assert card.version == 2


def test_what_was_said_earlier_but_comes_later_fills_only_blanks() -> None:
    card = card_of(
        said(5, name="Mara", answers={"fleet": "12"}),
        said(1, name="M.", company="Norrvik", answers={"fleet": "1", "old": "x"}),
    )
    assert (card.name, card.company, card.answers) == ("Mara", "Norrvik", {"fleet": "12", "old": "x"})


def test_the_first_and_the_last_touch_are_kept_in_any_order() -> None:
    for order in ((1, 2, 3), (3, 1, 2), (2, 3, 1)):
        card = card_of(*(said(day, channel=f"channel{day}") for day in order))
        assert (card.first_touch.channel, card.last_touch.channel) == ("channel1", "channel3")


def test_an_imported_deal_that_is_older_than_the_first_interest_is_not_where_a_lead_came_from() -> None:
    for order in ((1, 2), (2, 1)):
        facts = {1: said(1, channel="import"), 2: said(2, channel="organic_search")}
        assert card_of(*(facts[day] for day in order)).first_touch.channel == "organic_search"
    told = Touch(channel="import", source="fair", at=DAY)
    assert cards.came_first(card_of(said(2)), [told]).first_touch is told
    earlier = replace(said(1, channel="import"), touch=told)
    assert card_of(said(2), earlier).first_touch is told


def test_an_earlier_visit_is_the_first_touch() -> None:
    card = card_of(said(5, channel="email"))
    visits = [Touch(channel="display", at=DAY + timedelta(days=d)) for d in (3, 2, 9)]
    assert cards.came_first(card, visits).first_touch.at == DAY + timedelta(days=2)
    assert cards.came_first(card, [Touch(at=DAY + timedelta(days=9))]) is card
    assert cards.came_first(card, []) is card


def test_the_telephone_given_last_comes_first() -> None:
    card = card_of(said(1, phone="+1"), said(2, phone="+2"), said(3), said(4, phone="+1"))
    assert [point.value for point in card.contact_points] == ["mara@norrvik.example", "+1", "+2"]
    assert card.reach("phone") == "+1"
    late = cards.amend(card, said(0, phone="+3"), DAY)
    assert late.reach("phone") == "+1"


def test_consent_is_what_was_said_last_of_each_purpose() -> None:
    yes, no = Permission(True, "words"), Permission(False)
    card = card_of(
        said(1, consent={"mail": yes, "call": yes}), said(3, consent={"mail": no}), said(2, consent={"mail": yes})
    )
    assert (card.consent["mail"].granted, card.consent["call"].granted) == (False, True)
    assert card.consent["call"].text == "words"
    dated = Permission(True, "later words", DAY + timedelta(days=9))
    assert cards.amend(card, said(2, consent={"mail": dated}), DAY).consent["mail"].granted is True


def test_answers_have_an_end() -> None:
    card = card_of(*(said(day, answers={f"a{day}_{n}": "x" for n in range(50)}) for day in range(10)))
    assert len(card.answers) == cards.MOST_ANSWERS
    assert "a0_0" in card.answers


def test_taking_a_permission_back_twice_changes_nothing_the_second_time() -> None:
    card = card_of(said(1, consent={"marketing": Permission(True)}))
    at = DAY + timedelta(days=2)
    purposes = cards.marketing_purposes(card, "marketing_email")
    assert purposes == ["marketing", "marketing_email"]
    once = cards.with_consent(card, purposes, False, "unsubscribed", at)
    assert (once.version, once.consent["marketing"].granted) == (2, False)
    assert cards.with_consent(once, purposes, False, "unsubscribed", at) is once


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12))
def test_whatever_the_order_versions_go_up_by_one_and_touches_span_all_days(days: list[int]) -> None:
    card = card_of(*(said(day) for day in days))
    assert card.version == len(days)
    assert card.first_touch.at == DAY + timedelta(days=min(days))
    assert card.last_touch.at == DAY + timedelta(days=max(days))
