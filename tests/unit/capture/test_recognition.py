"""Who somebody is, decided from what is known of contact points."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.domain.recognition import Known, Person, Recognised, keys_of, recognise

A, B, NEW = UUID(int=1), UUID(int=2), UUID(int=9)
MAIL, PHONE = "e:mara@norrvik.example", "p:+46701740642"
WRITER, CALLER = Person(NEW, email=MAIL[2:]), Person(NEW, phone=PHONE[2:])
BOTH = Person(NEW, email=MAIL[2:], phone=PHONE[2:])


@pytest.mark.parametrize(
    ("person", "known", "who", "after"),
    [
        (WRITER, {}, Recognised(NEW), {MAIL: Known(NEW, True)}),
        (WRITER, {MAIL: Known(A, True)}, Recognised(A), {MAIL: Known(A, True)}),
        (CALLER, {}, Recognised(NEW), {PHONE: Known(NEW, False)}),
        (CALLER, {PHONE: Known(A, False)}, Recognised(A), {PHONE: Known(A, False)}),
        (CALLER, {PHONE: Known(A, True)}, Recognised(NEW, A), {PHONE: Known(NEW, False)}),
        (BOTH, {}, Recognised(NEW), {MAIL: Known(NEW, True), PHONE: Known(NEW, True)}),
        (BOTH, {MAIL: Known(A, True)}, Recognised(A), {MAIL: Known(A, True), PHONE: Known(A, True)}),
        (BOTH, {PHONE: Known(A, False)}, Recognised(NEW, A), {MAIL: Known(NEW, True), PHONE: Known(A, False)}),
        (BOTH, {PHONE: Known(A, True)}, Recognised(NEW, A), {MAIL: Known(NEW, True), PHONE: Known(A, True)}),
        (
            BOTH,
            {MAIL: Known(A, True), PHONE: Known(B, True)},
            Recognised(A, B),
            {MAIL: Known(A, True), PHONE: Known(B, True)},
        ),
        (
            BOTH,
            {MAIL: Known(A, True), PHONE: Known(A, True)},
            Recognised(A),
            {MAIL: Known(A, True), PHONE: Known(A, True)},
        ),
    ],
)
def test_the_address_decides_and_a_telephone_only_where_neither_side_has_one(
    person: Person, known: dict[str, Known], who: Recognised, after: dict[str, Known]
) -> None:
    assert recognise([person], known) == ([who], after)


def test_tests_and_real_people_have_nothing_to_do_with_each_other() -> None:
    real, test = Person(A, email="m@norrvik.example"), Person(B, email="m@norrvik.example", test=True)
    assert set(keys_of(real)) & set(keys_of(test)) == set()
    assert [who.lead_id for who in recognise([real, test], {})[0]] == [A, B]


contacts = st.tuples(
    st.sampled_from(["", "a@x.example", "b@x.example", "c@x.example"]), st.sampled_from(["", "1", "2"])
)
crowds = st.lists(contacts.filter(any), max_size=30)


def people(crowd: Sequence[tuple[str, str]]) -> list[Person]:
    return [Person(UUID(int=n + 1), email, phone) for n, (email, phone) in enumerate(crowd)]


@given(crowds)
def test_one_address_is_one_lead_and_one_lead_has_one_address(crowd: list[tuple[str, str]]) -> None:
    found, _ = recognise(people(crowd), {})
    pairs = {(email, who.lead_id) for (email, _), who in zip(crowd, found, strict=True) if email}
    assert len(pairs) == len({email for email, _ in pairs}) == len({lead for _, lead in pairs})


@given(crowds)
def test_callers_without_an_address_are_one_lead_per_telephone(crowd: list[tuple[str, str]]) -> None:
    found, _ = recognise(people(crowd), {})
    pairs = {(phone, who.lead_id) for (email, phone), who in zip(crowd, found, strict=True) if not email}
    assert len(pairs) == len({phone for phone, _ in pairs})


@given(crowds, st.integers(0, 30))
def test_a_crowd_is_recognised_the_same_in_one_batch_and_in_two(crowd: list[tuple[str, str]], cut: int) -> None:
    whole, after = recognise(people(crowd), {})
    first, between = recognise(people(crowd)[:cut], {})
    second, end = recognise(people(crowd)[cut:], between)
    assert (first + second, end) == (whole, after)


@given(crowds)
def test_whoever_is_named_for_review_is_somebody_else(crowd: list[tuple[str, str]]) -> None:
    assert all(who.other != who.lead_id for who in recognise(people(crowd), {})[0])
