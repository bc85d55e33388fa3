"""Which stage a lead may go to next, who alone may move it there, and for which reasons.

Every entry point (event, API, import, timer) asks this module; nothing else knows the graph. It decides and keeps
nothing: callers bring the lead's stage and cycle, and write down the `StageChange` they get back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from functools import cache
from typing import Literal, NamedTuple

from shared import reasons
from shared.errors import Refused
from shared.reasons import Reason


class Stage(StrEnum):
    prospect = auto()  # looks like a buyer but never contacted us; no marketing
    captured = auto()  # showed interest and can be reached; not proven real
    registered = auto()  # proven real
    iql = auto()  # looking for information, early days
    mql = auto()  # fits and is engaged, shows no wish to buy yet
    sql = auto()  # ready to talk to a salesperson
    handed_over = auto()  # offered to a salesperson, who has not answered yet
    accepted = auto()  # a salesperson took it and is working on it
    opportunity = auto()  # a deal with a value is open
    customer = auto()  # bought
    returned = auto()  # sales gave it back for a reason
    lost = auto()  # talked to sales, no deal, for a reason
    disqualified = auto()  # not a lead, for a reason
    merged = auto()  # the same person as another lead, which goes on for both


S, R = Stage, Reason

WHO_MERGED = "who merged"
"""Stands in `OWNER` for the owner of a merged lead, which only its history tells: ask `owner`."""

_TABLE: Mapping[Stage, tuple[str, set[Stage]]] = {
    S.prospect: ("capture", {S.captured, S.disqualified}),
    S.captured: ("capture", {S.registered, S.disqualified}),
    S.registered: ("scoring", {S.iql, S.mql, S.sql, S.customer, S.disqualified}),
    S.iql: ("scoring", {S.mql, S.sql, S.customer, S.disqualified}),
    S.mql: ("scoring", {S.iql, S.sql, S.customer, S.disqualified}),
    S.sql: ("handover", {S.handed_over, S.returned, S.customer, S.disqualified}),
    S.handed_over: ("handover", {S.accepted, S.sql, S.returned, S.customer, S.disqualified}),
    S.accepted: ("handover", {S.opportunity, S.returned, S.lost, S.customer, S.disqualified}),
    S.opportunity: ("handover", {S.customer, S.lost, S.returned, S.disqualified}),
    S.customer: ("handover", {S.registered}),
    S.returned: ("scoring", {S.iql, S.mql, S.sql, S.customer, S.disqualified}),
    S.lost: ("scoring", {S.iql, S.mql, S.sql, S.customer, S.disqualified}),
    S.disqualified: ("scoring", {S.registered, S.customer}),
    S.merged: (WHO_MERGED, set()),
}

OWNER: Mapping[Stage, str] = {stage: owner for stage, (owner, _) in _TABLE.items()}
EDGES: Mapping[Stage, frozenset[Stage]] = {stage: frozenset(next_ones) for stage, (_, next_ones) in _TABLE.items()}
"""The stages a lead can be moved to. Merging stands beside it: any stage -> merged -> that same stage (see `move`)."""

BIRTHS = frozenset({S.prospect, S.captured})
"""The stages in which a lead comes into being; capture says them."""

MAIN_LINE: tuple[Stage, ...] = (
    S.captured, S.registered, S.iql, S.mql, S.sql, S.handed_over, S.accepted, S.opportunity, S.customer,
)  # fmt: skip
"""The way forward, for funnels: who is in a stage has reached all stages before it."""

_ANYWHERE = frozenset({R.manual, R.imported})
_INTO: Mapping[Stage, frozenset[Reason]] = {
    S.prospect: frozenset({R.fits_profile}),
    S.captured: frozenset({R.first_interest, R.purchase}),
    S.registered: reasons.PROOFS | {R.purchase},  # nobody unreal pays; scoring then makes the customer
    S.iql: frozenset({R.content_requested, R.score_reached, R.rules_changed}),
    S.mql: frozenset({R.score_reached, R.fit_and_engagement, R.bant_confirmed, R.rules_changed}),
    S.sql: reasons.FAST_TRACK
    | {R.score_reached, R.fit_and_engagement, R.high_intent, R.bant_confirmed, R.rules_changed},
    S.handed_over: frozenset({R.offered}),
    S.accepted: frozenset({R.accepted}),
    S.opportunity: frozenset({R.deal_opened}),
    S.customer: frozenset({R.purchase}),
    S.returned: reasons.RETURN_REASONS,
    S.lost: reasons.LOST_REASONS,
    S.disqualified: reasons.DISQUALIFY_REASONS,
    S.merged: frozenset({R.merged}),
}
_FROM_INTO: Mapping[tuple[Stage, Stage], frozenset[Reason]] = {
    (S.captured, S.disqualified): reasons.DISQUALIFY_REASONS | {R.unconfirmed},
    (S.mql, S.iql): frozenset({R.score_fell, R.rules_changed}),
    (S.handed_over, S.sql): frozenset({R.expired, R.reassigned}),
    (S.opportunity, S.customer): frozenset({R.won, R.purchase}),
    (S.customer, S.registered): frozenset({R.new_cycle}),
    (S.disqualified, S.registered): reasons.PROOFS | {R.released, R.new_interest},
    # A mere score brings nobody back whom sales let go: else the next page view would undo the hold.
    **{(back, to): frozenset({R.hold_ended}) for back in (S.returned, S.lost) for to in (S.iql, S.mql)},
    **{(back, S.sql): reasons.FAST_TRACK | {R.high_intent, R.hold_ended} for back in (S.returned, S.lost)},
}
"""Edges whose reasons differ from the usual ones into that stage."""

_BY_WAY_OF: Mapping[tuple[Stage, Stage], tuple[Stage, Reason]] = {
    (S.prospect, S.registered): (S.captured, R.first_interest),
    (S.sql, S.accepted): (S.handed_over, R.offered),
    (S.accepted, S.customer): (S.opportunity, R.deal_opened),
    **{(S.disqualified, to): (S.registered, R.new_interest) for to in (S.iql, S.mql, S.sql)},
}
"""The stage that one command passes through, both ends of it with one owner, and the reason for that stop."""


class IllegalMove(Refused):
    """The graph has no such edge, or not for this reason."""

    title = "No such move"

    def __init__(self, frm: Stage | None, to: Stage, reason: str | None = None) -> None:
        because = f" because of {reason}" if reason else ""
        super().__init__(f"A lead cannot go from {frm or 'nowhere'} to {to}{because}.")


class NotOwner(Refused):
    """Another service owns the lead now; `owner` names it, also in the answer."""

    title = "Not ours to move"

    def __init__(self, owner: str) -> None:
        super().__init__(f"Only {owner} may move this lead now.", owner=owner)
        self.owner = owner


class StageChange(NamedTuple):
    frm: Stage | None
    to: Stage
    reason: str
    cycle: int


def owner(stage: Stage | None, before: Stage | None = None) -> str:
    """Who alone may move a lead: from `stage`, or into being (None).

    `before` is the stage a merged lead was merged at; that stage's owner merged it and alone can undo it.
    """
    if stage is None:
        return "capture"
    if stage != S.merged:
        return OWNER[stage]
    if before is None or before == S.merged:
        raise ValueError("the owner of a merged lead is told by the stage it was merged at")
    return OWNER[before]


@cache
def reasons_for(frm: Stage | None, to: Stage) -> frozenset[Reason]:
    """All reasons for which a lead may go from `frm` (None: it is new) to `to`; none where the graph has no edge."""
    if not _joined(frm, to):
        return frozenset()
    if frm == S.merged:
        return _ANYWHERE | {R.unmerged}
    usual = _INTO[to]
    return _ANYWHERE | (usual if frm is None else _FROM_INTO.get((frm, to), usual))


def legal(frm: Stage | None, to: Stage, reason: str) -> bool:
    return reason in reasons_for(frm, to)


def move(
    stage: Stage | None, cycle: int, to: Stage, reason: str, by: str, *, before: Stage | None = None
) -> StageChange:
    """Moves a lead by one edge, or into being, as the service `by`; from customer to registered its next cycle begins.

    A merged lead goes back to `before`, the stage it was merged at, and nowhere else. Raises `NotOwner` when another
    service owns the lead, `IllegalMove` when the graph has no such edge or not for that reason.
    """
    if by != (rightful := owner(stage, before)):
        raise NotOwner(rightful)
    if not legal(stage, to, reason) or (stage == S.merged and to != before):
        raise IllegalMove(stage, to, reason)
    begins = stage is None or (stage, to) == (S.customer, S.registered)
    return StageChange(stage, to, str(reason), (0 if stage is None else cycle) + begins)


def walk(
    stage: Stage | None, cycle: int, to: Stage, reason: str, by: str, *, before: Stage | None = None
) -> list[StageChange]:
    """`move` that passes through the stage between where the reason has no edge of its own.

    From accepted, `won` opens the deal and wins it (two changes), a `purchase` is one change. Raises as `move` does.
    """
    stop = None if stage is None or legal(stage, to, reason) else _BY_WAY_OF.get((stage, to))
    if stop is None:
        return [move(stage, cycle, to, reason, by, before=before)]
    through, usual = stop
    stopping = move(stage, cycle, through, reason if legal(stage, through, reason) else usual, by)
    return [stopping, move(through, stopping.cycle, to, reason, by)]


def adopt(stage_seq: int, event_seq: int) -> Literal["apply", "repeat", "gap"]:
    """What to do with a stage event, `stage_seq` being the seq of the own copy (0: lead unknown); a gap is held."""
    if event_seq <= stage_seq:
        return "repeat"
    return "apply" if event_seq == stage_seq + 1 else "gap"


def _joined(frm: Stage | None, to: Stage) -> bool:
    if frm is None:
        return to in BIRTHS
    if S.merged in (frm, to):
        return frm != to
    return to in EDGES[frm]
