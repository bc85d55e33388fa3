"""The points history: entries are only ever added, and what is added last makes it say what the facts come to.

An entry that no longer holds is taken back by another one; both stay. What counts at a moment is what was given by
then and not taken back by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from services.scoring.domain.award import Award

Kind = Literal["fit", "engagement"]
NewId = Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class Entry:
    """`award.at` is when it happened; `since` when it began to count: the same, but for what new rules brought.

    `retracts` names the entry that this one takes back; its points are then that entry's, with the sign turned.
    """

    id: UUID
    kind: Kind
    cycle: int
    rule_version: int
    since: int
    award: Award
    reason: str
    retracts: UUID | None = None

    @property
    def key(self) -> tuple[Kind, int, str, UUID]:
        return self.kind, self.cycle, self.award.rule, self.award.event_id


def standing(entries: Iterable[Entry], at: int | None = None) -> list[Entry]:
    """The entries that count, as of a moment, or all that was not taken back."""
    given = [entry for entry in entries if at is None or entry.since <= at]
    gone = {entry.retracts for entry in given if entry.retracts is not None}
    return [entry for entry in given if entry.retracts is None and entry.id not in gone]


def taken_back(entry: Entry, new_id: NewId, since: int, why: str) -> Entry:
    """The entry that takes another one back from `since` on, or from its own beginning if that is later."""
    opposite = replace(entry.award, tenths=-entry.award.tenths)
    return replace(entry, id=new_id(), award=opposite, reason=why, since=max(since, entry.since), retracts=entry.id)


def corrected(
    entries: Iterable[Entry], wanted: Iterable[Entry], new_id: NewId, since: int | None, why: str
) -> list[Entry]:
    """What to add so that the engagement entries say what is wanted.

    `since` is when new rules began to count; None for a fact that came late, which counts from when it happened.
    """
    before = {entry.key: entry for entry in standing(entries) if entry.kind == "engagement"}
    added: list[Entry] = []
    for new in wanted:
        old = before.pop(new.key, None)
        if old is None:
            added.append(replace(new, since=max(new.since, since or new.since)))
        elif not _same(old.award, new.award):
            added.append(taken_back(old, new_id, since or old.since, why))
            added.append(replace(new, since=max(new.since, since or old.since, old.since)))
    return added + [taken_back(old, new_id, since or old.since, why) for old in before.values()]


def _same(one: Award, other: Award) -> bool:
    return (one.tenths, one.half_life, one.at) == (other.tenths, other.half_life, other.at)
