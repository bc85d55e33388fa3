"""What became of a lead at sales: which outcome is possible in which stage, and where it brings the lead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Literal

from shared.lifecycle import Stage
from shared.reasons import DISQUALIFY_REASONS, LOST_REASONS, Reason


class Outcome(StrEnum):
    opportunity = auto()
    won = auto()
    lost = auto()
    disqualified = auto()
    fulfilled = auto()
    paid = auto()


RESULT = {
    Outcome.opportunity: Stage.opportunity,
    Outcome.won: Stage.customer,
    Outcome.lost: Stage.lost,
    Outcome.disqualified: Stage.disqualified,
    Outcome.fulfilled: Stage.customer,
    Outcome.paid: Stage.customer,
}
"""The stage of a lead after its outcome."""

_AT_WORK = frozenset({Stage.accepted, Stage.opportunity})
_FROM = {
    Outcome.opportunity: _AT_WORK,
    Outcome.won: _AT_WORK,
    Outcome.lost: _AT_WORK,
    Outcome.disqualified: _AT_WORK | {Stage.sql, Stage.handed_over},
    Outcome.fulfilled: frozenset({Stage.customer}),
    Outcome.paid: frozenset({Stage.customer}),
}
_REASONS = {Outcome.lost: LOST_REASONS, Outcome.disqualified: DISQUALIFY_REASONS}
_FIXED = {Outcome.opportunity: Reason.deal_opened, Outcome.won: Reason.won}


@dataclass(frozen=True)
class Effect:
    """`move`: into `to` because of `reason`; `fact`: the stage stays; `no`: not possible in this stage."""

    kind: Literal["move", "fact", "no"]
    to: Stage | None = None
    reason: str = ""


def effect(stage: Stage, outcome: Outcome, reason: str = "") -> Effect:
    """What an outcome does to a lead in that stage. Winning an accepted lead passes through its opportunity."""
    if stage not in _FROM[outcome]:
        return Effect("no")
    to = RESULT[outcome]
    return Effect("fact") if stage is to else Effect("move", to, _FIXED.get(outcome) or reason)


def reasons_of(outcome: Outcome) -> frozenset[Reason] | None:
    """The reasons one of which has to be given; None where none is asked for."""
    return _REASONS.get(outcome)
