"""When a lead counts as real, and what it asked for."""

from __future__ import annotations

import pytest

from services.capture.domain.registration import asked_for, contact_valid, proof, why_disqualified
from shared.events.capture import CardChanged, ContactPoint
from shared.reasons import DISQUALIFY_REASONS, FAST_TRACK


def card(*values: str) -> CardChanged:
    points = [ContactPoint("phone" if value.startswith("+") else "email", value) for value in values]
    return CardChanged(version=1, contact_points=points)


@pytest.mark.parametrize(
    ("points", "valid"),
    [
        (("mara@norrvik.example",), True),
        (("mara@gmail.com",), True),
        (("x@mailinator.com",), False),
        (("x@deep.sub.mailinator.com",), False),
        (("x@mailinator.example",), True),
        (("+46701740642",), True),
        (("x@mailinator.com", "+46701740642"), True),
        (("x@mailinator.com", "mara@norrvik.example"), True),
        ((), False),
    ],
)
def test_somebody_can_be_reached(points: tuple[str, ...], valid: bool) -> None:
    assert contact_valid(card(*points).contact_points) is valid


def test_the_proof_is_what_the_policy_asks_for() -> None:
    assert proof("none", False) == "no_registration_needed"
    assert proof("contact_valid", True) == "contact_valid"
    assert proof("contact_valid", False) is None


def test_every_wish_is_a_reason_of_the_fast_track() -> None:
    wishes = {asked_for(name) for name in ("demo_requested", "contact_requested", "call")}
    assert wishes == set(FAST_TRACK)
    assert asked_for("form_submitted") == ""


def test_a_flag_becomes_a_reason_that_disqualifies() -> None:
    assert why_disqualified("not_icp") == "not_icp"
    assert why_disqualified("looks odd to me") == "spam"
    assert all(why_disqualified(reason) in DISQUALIFY_REASONS for reason in ("won", "", "unconfirmed"))
