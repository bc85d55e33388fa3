"""Who is asked next, and why the others were not."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handover.domain.rotation import Rep, Wanted, choose_rep

ANNA, BEN, CAY = (
    Rep(UUID(int=1), turn=5),
    Rep(UUID(int=2), turn=3),
    Rep(UUID(int=3), turn=4),
)
ALL = [ANNA, BEN, CAY]


def test_the_one_whose_last_offer_is_longest_ago_is_next() -> None:
    choice = choose_rep(ALL, Wanted(), ())
    assert (choice.rep, choice.why, choice.fallback, choice.skipped) == (BEN, "next_in_turn", False, ())


def test_offers_go_round() -> None:
    reps, asked = [replace(rep, turn=0) for rep in ALL], list[int]()
    for turn in range(1, 8):
        chosen = choose_rep(reps, Wanted(), ()).rep
        assert chosen is not None
        asked.append(chosen.rep_id.int)
        reps[reps.index(chosen)] = chosen.offered(turn)
    assert asked == [1, 2, 3, 1, 2, 3, 1]


def test_who_refused_this_lead_is_skipped() -> None:
    choice = choose_rep(ALL, Wanted(), {BEN.rep_id})
    assert choice.rep == CAY
    assert choice.skipped == ((BEN.rep_id, "refused"),)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"active": False}, "inactive"),
        ({"capacity": 2, "holds": 2}, "full"),
        ({"capacity": 0}, "not_in_turn"),
        ({"products": frozenset({"probes"})}, "other_product"),
    ],
)
def test_who_cannot_take_it_is_skipped_with_the_reason(changes: dict[str, object], why: str) -> None:
    choice = choose_rep([ANNA, replace(BEN, **changes), CAY], Wanted(product="loggers"), ())
    assert choice.rep == CAY
    assert choice.skipped == ((BEN.rep_id, why),)


def test_a_rep_without_products_sells_all_and_a_lead_without_a_product_suits_all() -> None:
    special = replace(BEN, products=frozenset({"probes"}))
    assert choose_rep([special, CAY], Wanted(product=""), ()).rep == special
    assert choose_rep([special, CAY], Wanted(product="loggers"), ()).rep == CAY


def test_after_so_many_attempts_the_fallback_owner_gets_it_even_when_full_or_out_of_turn() -> None:
    chief = Rep(UUID(int=9), fallback=True, capacity=0)
    choice = choose_rep([*ALL, chief], Wanted(attempts=3), ())
    assert (choice.rep, choice.why, choice.fallback) == (chief, "attempts_used", True)
    assert choose_rep([*ALL, chief], Wanted(attempts=2), ()).rep == BEN


def test_when_all_refused_the_fallback_owner_gets_it() -> None:
    chief = Rep(UUID(int=9), fallback=True, capacity=0)
    refused = {rep.rep_id for rep in ALL}
    choice = choose_rep([*ALL, chief], Wanted(attempts=1), refused)
    assert (choice.rep, choice.why, choice.fallback) == (chief, "all_refused", True)


def test_without_a_named_fallback_the_active_rep_who_came_first_is_it() -> None:
    refused = {rep.rep_id for rep in ALL}
    assert choose_rep([replace(ANNA, active=False), BEN, CAY], Wanted(attempts=2), refused).rep == BEN


def test_while_all_are_full_the_lead_waits_for_room() -> None:
    full = [replace(rep, capacity=1, holds=1) for rep in ALL]
    assert choose_rep(full, Wanted(), ()).rep is None
    assert choose_rep(full, Wanted(), ()).why == "room"
    # Of two reps one refused and the other is full: it waits for the other.
    assert choose_rep(full[:2], Wanted(attempts=1), {ANNA.rep_id}).why == "room"


@pytest.mark.parametrize("reps", [[], [replace(ANNA, active=False)]])
def test_without_a_rep_the_lead_waits_for_one(reps: list[Rep]) -> None:
    choice = choose_rep(reps, Wanted(), ())
    assert (choice.rep, choice.why, choice.fallback) == (None, "rep", False)


REPS = st.lists(
    st.builds(
        Rep,
        st.uuids(),
        active=st.booleans(),
        products=st.frozensets(st.sampled_from(["a", "b"]), max_size=2),
        capacity=st.none() | st.integers(0, 2),
        fallback=st.booleans(),
        turn=st.integers(0, 9),
        holds=st.integers(0, 2),
    ),
    max_size=5,
    unique_by=lambda rep: rep.rep_id,
)


@given(REPS, st.sampled_from(["", "a", "b", "c"]), st.integers(0, 4), st.data())
def test_a_choice_is_always_one_that_may_be_made(
    reps: list[Rep], product: str, attempts: int, data: st.DataObject
) -> None:
    ids = [rep.rep_id for rep in reps]
    refused: set[UUID] = set(data.draw(st.lists(st.sampled_from(ids), max_size=5))) if ids else set()
    choice = choose_rep(reps, Wanted(product, attempts), refused)
    if not any(rep.active for rep in reps):
        assert (choice.rep, choice.why) == (None, "rep")
    elif choice.rep is None:
        assert choice.why == "room"
        assert attempts < 3
    elif choice.fallback:
        assert choice.rep.active
    else:
        rep = choice.rep
        assert attempts < 3
        assert rep.active
        assert rep.has_room
        assert rep.sells(product)
        assert rep.rep_id not in refused
        able = [r for r in reps if r.rep_id not in dict(choice.skipped)]
        assert rep.turn == min(r.turn for r in able)
        assert {r.rep_id for r in able} | set(dict(choice.skipped)) == {r.rep_id for r in reps}
