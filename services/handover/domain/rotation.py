"""Who is asked next about a lead: reps in turn, and at last the fallback owner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Rep:
    """`products`: empty for all. `capacity`: most leads held at once, None for no limit; a capacity of 0 takes none
    in turn. `turn`: the number of the last offer made to this rep. Reps are in the order in which they came.
    """

    rep_id: UUID
    active: bool = True
    products: frozenset[str] = frozenset()
    capacity: int | None = None
    fallback: bool = False
    turn: int = 0
    holds: int = 0

    @property
    def has_room(self) -> bool:
        return self.capacity is None or self.holds < self.capacity

    def sells(self, product: str) -> bool:
        return not product or not self.products or product in self.products

    def offered(self, turn: int) -> Rep:
        return replace(self, turn=turn, holds=self.holds + 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the choice must know of a lead. `attempts`: offers made since it last came to sales."""

    product: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """`why` says why this rep, or without one what the lead waits for; `skipped` why each of the others was not."""

    rep: Rep | None
    why: str
    fallback: bool = False
    skipped: tuple[tuple[UUID, str], ...] = ()


def choose_rep(reps: Sequence[Rep], lead: Wanted, refused_by: Collection[UUID], most_attempts: int = 3) -> Choice:
    """The active rep with the lowest turn who sells the product, has room and has not refused this lead.

    After `most_attempts` offers, or when none is left to ask, the fallback owner gets it, with or without room; where
    none is named, the active rep who came first. While others are merely full the lead waits for `room`, and while
    there is no active rep at all, for a `rep`.
    """
    if lead.attempts >= most_attempts:
        return _fall_back(reps, "attempts_used", ())
    verdicts = [(rep, _against(rep, lead, refused_by)) for rep in reps]
    skipped = tuple((rep.rep_id, why) for rep, why in verdicts if why)
    able = [rep for rep, why in verdicts if not why]
    if able:
        return Choice(min(able, key=lambda rep: rep.turn), "next_in_turn", skipped=skipped)
    reasons = {why for _, why in skipped}
    if "full" in reasons:
        return Choice(None, "room", skipped=skipped)
    return _fall_back(reps, "all_refused" if "refused" in reasons else "nobody_in_turn", skipped)


def _against(rep: Rep, lead: Wanted, refused_by: Collection[UUID]) -> str:
    if not rep.active:
        return "inactive"
    if rep.capacity == 0:
        return "not_in_turn"
    if rep.rep_id in refused_by:
        return "refused"
    if not rep.sells(lead.product):
        return "other_product"
    return "" if rep.has_room else "full"


def _fall_back(reps: Sequence[Rep], why: str, skipped: tuple[tuple[UUID, str], ...]) -> Choice:
    active = [rep for rep in reps if rep.active]
    owner = next((rep for rep in active if rep.fallback), active[0] if active else None)
    return Choice(owner, why if owner else "rep", fallback=owner is not None, skipped=skipped)
