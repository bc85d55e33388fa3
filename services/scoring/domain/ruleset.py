"""A rule set: what earns points, how much of it counts, how it fades, and where the lines are drawn.

Points are in tenths and lengths of time in microseconds here; `domain.reading` turns the marketers' data into this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from services.scoring.domain.conditions import Condition, fields
from shared.lifecycle import Stage

COLD, WARM, HOT = "cold", "warm", "hot"
UNKNOWN = "unknown"
GRADES = ("A", "B", "C", "D")

# How to reach somebody, and where they came from, says nothing about who they are.
_NO_EVIDENCE = ("email.", "phone.", "source.")


@dataclass(frozen=True)
class FitRule:
    """Points for what a lead is; given once, for as long as the condition holds.

    `evidence`: whether a match, or knowing what the condition asks for, makes the fit known.
    """

    code: str
    says: str
    tenths: int
    when: Condition
    group: str | None = None
    evidence: bool = True

    @cached_property
    def asks(self) -> frozenset[str]:
        """The fields whose mere presence is evidence."""
        if not self.evidence:
            return frozenset()
        return frozenset(name for name in fields(self.when) if not name.startswith(_NO_EVIDENCE))


@dataclass(frozen=True)
class Most:
    """How far one rule counts: `tenths` its awards may be worth together at any moment, `times` it may give them, in
    the whole cycle or `within` a length of time."""

    tenths: int | None = None
    times: int | None = None
    within: int | None = None


@dataclass(frozen=True)
class EngagementRule:
    """Points for what a lead does. `intent`: it shows that somebody wants to buy."""

    code: str
    says: str
    activities: frozenset[str]
    tenths: int
    half_life: int | None
    most: Most
    when: Condition | None = None
    group: str | None = None
    intent: bool = False


@dataclass(frozen=True)
class Request:
    """An activity that asks for a contact: it goes to sales at once, whatever the points."""

    code: str
    activities: frozenset[str]
    reason: str
    when: Condition | None = None


@dataclass(frozen=True)
class Heat:
    """A temperature above cold: entered at `enter` points of engagement, left below `leave`.

    It is also left when nothing was earned for `quiet_after`. Intent shown `intent_within` holds it by itself.
    """

    level: str
    enter: int
    leave: int
    quiet_after: int | None = None
    intent_within: int | None = None


@dataclass(frozen=True)
class Gate:
    """One way into a stage: all that is given has to hold. `groups` are least points by engagement group."""

    reason: str
    score: int | None = None
    fit: int | None = None
    engagement: int | None = None
    grades: frozenset[str] | None = None
    temperatures: frozenset[str] | None = None
    groups: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Leave:
    """A stage is left when any of these is fallen below."""

    score: int | None = None
    fit: int | None = None
    engagement: int | None = None


@dataclass(frozen=True)
class StageLine:
    stage: Stage
    enter: tuple[Gate, ...]
    leave: Leave | None = None


@dataclass(frozen=True)
class RuleSet:
    """All that marketers decide about scoring, as one version."""

    version: int
    name: str
    groups: Mapping[str, int]
    fit: tuple[FitRule, ...]
    grades: Mapping[str, int]
    engagement: tuple[EngagementRule, ...]
    requests: tuple[Request, ...]
    fresh_for: int
    come_back: frozenset[str]
    heats: Mapping[str, Heat]
    stages: Mapping[Stage, StageLine]

    @cached_property
    def by_activity(self) -> Mapping[str, tuple[EngagementRule, ...]]:
        """The engagement rules that look at an activity, in their order."""
        names = {name for rule in self.engagement for name in rule.activities}
        return {name: tuple(rule for rule in self.engagement if name in rule.activities) for name in names}

    @cached_property
    def by_code(self) -> Mapping[str, EngagementRule]:
        return {rule.code: rule for rule in self.engagement}

    @cached_property
    def says(self) -> Mapping[str, str]:
        """The words of every rule that gives points."""
        return {rule.code: rule.says for rule in (*self.fit, *self.engagement)}

    @cached_property
    def members(self) -> Mapping[str, frozenset[str]]:
        """The engagement rules of each group, by code."""
        return {group: frozenset(rule.code for rule in self.engagement if rule.group == group) for group in self.groups}

    @cached_property
    def asks_for_groups(self) -> bool:
        """Whether any way into a stage asks for the points of a group."""
        return any(gate.groups for line in self.stages.values() for gate in line.enter)

    @cached_property
    def evidence(self) -> frozenset[str]:
        return frozenset[str]().union(*(rule.asks for rule in self.fit))
