"""Who may be written to: the consent, what forbids the address, and which of the two is younger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.nurture.domain.person import Consent, Person, Suppression, by_purpose

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(microseconds=1), NOON + timedelta(microseconds=1)


def somebody(consent: Consent | None, email: str = "mara@norrvik.example") -> Person:
    return Person(email=email, consents={"marketing": consent} if consent else {})


@pytest.mark.parametrize(
    ("consent", "suppressed", "refusal"),
    [
        (None, None, "no_consent"),
        (Consent(False, NOON), None, "no_consent"),
        (Consent(True, NOON), None, ""),
        (None, Suppression(NOON, "unsubscribed"), "unsubscribed"),
        (Consent(True, BEFORE), Suppression(NOON, "unsubscribed"), "unsubscribed"),
        (Consent(True, NOON), Suppression(NOON, "bounced"), "bounced"),
        (Consent(True, AFTER), Suppression(NOON, "unsubscribed"), ""),
        (Consent(True, AFTER), Suppression(NOON, "do_not_contact"), ""),
        (Consent(False, AFTER), Suppression(NOON, "unsubscribed"), "unsubscribed"),
    ],
)
def test_only_a_consent_given_later_lifts_a_suppression(
    consent: Consent | None, suppressed: Suppression | None, refusal: str
) -> None:
    assert somebody(consent).refusal("marketing", suppressed) == refusal


def test_nobody_is_written_to_without_an_address_or_for_another_purpose() -> None:
    assert somebody(Consent(True, NOON), email="").refusal("marketing", None) == "no_address"
    assert somebody(Consent(True, NOON)).refusal("surveys", None) == "no_consent"


@pytest.mark.parametrize("names", [("marketing", "marketing_email"), ("marketing_email", "marketing")])
def test_the_last_word_counts_whichever_way_the_form_named_the_purpose(names: tuple[str, str]) -> None:
    first, last = names
    assert by_purpose([(first, Consent(True, NOON)), (last, Consent(False, AFTER))]) == {
        "marketing": Consent(False, AFTER)
    }
    assert by_purpose([(first, Consent(True, AFTER)), (last, Consent(False, NOON))]) == {
        "marketing": Consent(True, AFTER)
    }


def test_of_two_words_at_one_moment_the_no_counts() -> None:
    said = [("marketing", Consent(True, NOON)), ("marketing_email", Consent(False, NOON))]
    assert by_purpose(said) == by_purpose(reversed(said)) == {"marketing": Consent(False, NOON)}


@given(st.lists(st.tuples(st.sampled_from(["marketing", "marketing_email"]), st.booleans(), st.integers(0, 5))))
def test_consents_do_not_depend_on_the_order_in_which_a_card_lists_them(said: list[tuple[str, bool, int]]) -> None:
    consents = [(name, Consent(granted, NOON + timedelta(days=day))) for name, granted, day in said]
    assert by_purpose(consents) == by_purpose(reversed(consents))
