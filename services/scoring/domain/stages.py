"""Where a lead goes next, of the stages that scoring may move it to, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.scoring.domain.holds import DEFAULT_HOLD, hold
from services.scoring.domain.ruleset import Gate, RuleSet
from shared import lifecycle
from shared.lifecycle import Stage
from shared.reasons import Reason

BACK_FROM_SALES = frozenset({Stage.returned, Stage.lost})
_BY_POINTS = frozenset({Stage.iql, Stage.mql})


@dataclass(frozen=True, slots=True)
class Asked:
    """The lead asked for a contact."""

    at: int
    rule: str
    reason: str
    proven: bool | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    at: int
    value: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Flagged:
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a lead at one moment, points in tenths."""

    fit: int
    engagement: int
    grade: str
    temperature: str

    @property
    def score(self) -> int:
        return self.fit + self.engagement


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision looks at. `stage_at` and `stage_reason`: when and why the lead came into its stage.

    `groups` are the points of engagement by group. `served_until` is up to when requests were sales' business,
    `released_at` when the lead last came back from being disqualified.
    """

    stage: Stage
    stage_at: int
    stage_reason: str
    now: int
    figures: Figures
    groups: Mapping[str, int] = field(default_factory=dict[str, int])
    asked: Asked | None = None
    bought: Bought | None = None
    flagged: Flagged | None = None
    served_until: int | None = None
    released_at: int | None = None
    only_purchase: bool = False
    because_of_rules: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    to: Stage
    reason: str
    rule: str
    value: str = ""
    currency: str = ""
    asked_for: str = ""


def next_move(situation: Situation, rules: RuleSet) -> Move | None:
    """The move to make now; None to stay. A purchase goes before all, a flag before a request, points come last."""
    for decide in (_bought,) if situation.only_purchase else (_bought, _flagged, _asked, _by_points):
        move = decide(situation, rules)
        if move is not None:
            return move
    return None


def hold_until(stage: Stage, stage_at: int, reason: str) -> int | None:
    """Until when points do not move a lead: back from sales as long as its reason says, and a while where a person
    has put it. None where points may move it now, or never again."""
    if stage in BACK_FROM_SALES:
        held = hold(stage, reason)
    elif stage in _BY_POINTS and reason == Reason.manual:
        held = DEFAULT_HOLD
    else:
        return None
    return None if held is None else stage_at + held // timedelta(microseconds=1)


def leaves_below(stage: Stage, fit: int, rules: RuleSet) -> int | None:
    """The points of engagement below which a lead of that fit leaves its stage; None where no decay takes it out."""
    line = rules.stages.get(stage)
    if line is None or line.leave is None:
        return None
    levels = [line.leave.engagement] if line.leave.engagement is not None else []
    if line.leave.score is not None:
        levels.append(line.leave.score - fit)
    return max(levels, default=None)


def _bought(situation: Situation, _rules: RuleSet) -> Move | None:
    bought = situation.bought
    if bought is None:
        return None
    return Move(Stage.customer, Reason.purchase, "purchase", bought.value, bought.currency)


def _flagged(situation: Situation, _rules: RuleSet) -> Move | None:
    flagged = situation.flagged
    if flagged is None or situation.stage is Stage.disqualified:
        return None
    if situation.released_at is not None and flagged.at <= situation.released_at:
        return None
    if not lifecycle.legal(situation.stage, Stage.disqualified, flagged.reason):
        return None
    return Move(Stage.disqualified, flagged.reason, "flagged")


def _asked(situation: Situation, rules: RuleSet) -> Move | None:
    asked = situation.asked
    if asked is None or asked.proven is False or situation.now - asked.at > rules.fresh_for:
        return None
    if situation.served_until is not None and asked.at <= situation.served_until:
        return None
    if situation.stage is Stage.disqualified and not _may_come_back(situation, asked, rules):
        return None
    return Move(Stage.sql, asked.reason, f"requests.{asked.rule}", asked_for=asked.rule)


def _may_come_back(situation: Situation, asked: Asked, rules: RuleSet) -> bool:
    if asked.at <= situation.stage_at or situation.stage_reason not in rules.come_back:
        return False
    return asked.proven is True or situation.stage_reason != Reason.unconfirmed


def _by_points(situation: Situation, rules: RuleSet) -> Move | None:
    stage = situation.stage
    if stage is Stage.disqualified:
        return None
    until = hold_until(stage, situation.stage_at, situation.stage_reason)
    held = until is None or situation.now < until
    if stage in BACK_FROM_SALES:
        return None if held else _after_hold(situation, rules)
    if until is not None and held:
        return None
    reached = _reached(situation, rules)
    if reached is not None and _is_further(reached[0], stage):
        to, gate, rule = reached
        return Move(to, Reason.rules_changed if situation.because_of_rules else gate.reason, rule)
    if stage is Stage.mql and _has_fallen(situation.figures, stage, rules):
        reason = Reason.rules_changed if situation.because_of_rules else Reason.score_fell
        return Move(Stage.iql, reason, "stages.mql.leave")
    return None


def _after_hold(situation: Situation, rules: RuleSet) -> Move:
    reached = _reached(situation, rules)
    if reached is None:
        return Move(Stage.iql, Reason.hold_ended, "hold")
    return Move(reached[0], Reason.hold_ended, reached[2])


def _reached(situation: Situation, rules: RuleSet) -> tuple[Stage, Gate, str] | None:
    """The furthest stage that the figures open, by the first of its gates that is open."""
    for stage in (Stage.sql, Stage.mql, Stage.iql):
        line = rules.stages.get(stage)
        for number, gate in enumerate(line.enter if line else ()):
            if _is_open(gate, situation):
                return stage, gate, f"stages.{stage}.enter.{number}"
    return None


def _is_further(to: Stage, stage: Stage) -> bool:
    return lifecycle.MAIN_LINE.index(to) > lifecycle.MAIN_LINE.index(stage)


def _is_open(gate: Gate, situation: Situation) -> bool:
    figures = situation.figures
    return (
        (gate.score is None or figures.score >= gate.score)
        and (gate.fit is None or figures.fit >= gate.fit)
        and (gate.engagement is None or figures.engagement >= gate.engagement)
        and (gate.grades is None or figures.grade in gate.grades)
        and (gate.temperatures is None or figures.temperature in gate.temperatures)
        and all(situation.groups.get(group, 0) >= wanted for group, wanted in gate.groups.items())
    )


def _has_fallen(figures: Figures, stage: Stage, rules: RuleSet) -> bool:
    line = rules.stages.get(stage)
    if line is None or line.leave is None:
        return False
    least = (
        (line.leave.score, figures.score),
        (line.leave.fit, figures.fit),
        (line.leave.engagement, figures.engagement),
    )
    return any(wanted is not None and have < wanted for wanted, have in least)
