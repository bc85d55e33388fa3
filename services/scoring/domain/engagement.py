"""What a lead's activities earn: caps and once-only rules applied in the order (time, event id).

`take` adds the next fact in that order; `fold` does it for a whole set of facts, so both come to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.scoring.domain.award import Award, total
from services.scoring.domain.cooling import level_at
from services.scoring.domain.ruleset import COLD, EngagementRule, Heat, RuleSet

LEAST_TENTHS = 10
"""What is left under a cap counts from a whole point on: else every page view would fill up what has just faded."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a lead did. `details` holds what rules may ask about it, empty values left out."""

    event_id: UUID
    at: int
    activity: str
    details: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> tuple[int, UUID]:
        return self.at, self.event_id


@dataclass(slots=True)
class Interest:
    """What the facts of one cycle come to, as of the last of them.

    `level` is the temperature at `level_at`; what became of it since follows from the awards.
    """

    awards: list[Award] = field(default_factory=list[Award])
    level: str = COLD
    level_at: int = 0
    earned_at: int | None = None
    intent_at: int | None = None

    def engagement(self, at: int) -> int:
        return total(self.awards, at)

    def temperature(self, rules: RuleSet, at: int) -> str:
        return level_at(self.awards, self.level, self.level_at, self.earned_at, self.intent_at, rules.heats, at)


def take(interest: Interest, fact: Fact, rules: RuleSet) -> list[Award]:
    """Add a fact later than all before it; answers what it earned."""
    matching = [rule for rule in rules.by_activity.get(fact.activity, ()) if matches(rule, fact)]
    if not matching:
        return []
    before = interest.temperature(rules, fact.at)
    earned: list[Award] = []
    for rule in matching:
        if award := _award(interest.awards, rule, fact, rules):
            interest.awards.append(award)
            earned.append(award)
    if any(rule.tenths > 0 for rule in matching):
        interest.earned_at = fact.at
    if any(rule.intent for rule in matching):
        interest.intent_at = fact.at
    interest.level = _warmed(interest, before, rules.heats, fact.at)
    interest.level_at = fact.at
    return earned


def fold(facts: Iterable[Fact], rules: RuleSet) -> tuple[Interest, list[Award]]:
    """What a set of facts comes to, in whatever order and however often they are given, and all that they earned."""
    interest = Interest()
    earned: list[Award] = []
    for fact in in_order(facts):
        earned += take(interest, fact, rules)
        interest.awards = still_needed(interest.awards, rules, fact.at)
    return interest, earned


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    return sorted({fact.event_id: fact for fact in facts}.values(), key=lambda fact: fact.key)


def matches(rule: EngagementRule, fact: Fact) -> bool:
    return rule.when is None or rule.when.holds({**fact.details, "activity": fact.activity})


def still_needed(awards: Sequence[Award], rules: RuleSet, at: int) -> list[Award]:
    """The awards that can still matter at or after a moment: worth something, or counted by a rule's `times`."""
    # Half of a tenth still rounds to one: nothing is gone after one half-life.
    return [
        award
        for award in awards
        if award.half_life is None
        or at - award.at <= award.half_life
        or award.worth(at)
        or _is_counted(award, rules, at)
    ]


def _is_counted(award: Award, rules: RuleSet, at: int) -> bool:
    rule = rules.by_code.get(award.rule)
    if rule is None or rule.most.times is None:
        return False
    return rule.most.within is None or award.at > at - rule.most.within


def _award(awards: Sequence[Award], rule: EngagementRule, fact: Fact, rules: RuleSet) -> Award | None:
    own = [award for award in awards if award.rule == rule.code]
    if rule.most.times is not None and _times(own, rule, fact.at) >= rule.most.times:
        return None
    size = abs(rule.tenths)
    room = min(_room(own, rule, fact.at), _room_in_group(awards, rule, rules, fact.at), size)
    if room < min(size, LEAST_TENTHS):
        return None
    return Award(
        rule=rule.code,
        event_id=fact.event_id,
        at=fact.at,
        tenths=room if rule.tenths > 0 else -room,
        half_life=rule.half_life,
    )


def why(award: Award, rules: RuleSet) -> str:
    """What an award was given for, in the words of its rule."""
    rule = rules.by_code[award.rule]
    if award.tenths == rule.tenths:
        return rule.says
    return f"{rule.says}; cut from {abs(rule.tenths) / 10:g} points, more does not count"


def _times(own: Sequence[Award], rule: EngagementRule, at: int) -> int:
    within = rule.most.within
    return len(own) if within is None else sum(award.at > at - within for award in own)


def _room(own: Sequence[Award], rule: EngagementRule, at: int) -> int:
    if rule.most.tenths is None:
        return abs(rule.tenths)
    return rule.most.tenths - abs(total(own, at))


def _room_in_group(awards: Sequence[Award], rule: EngagementRule, rules: RuleSet, at: int) -> int:
    if rule.group is None:
        return abs(rule.tenths)
    together = rules.members[rule.group]
    same_side = (a for a in awards if a.rule in together and (a.tenths > 0) is (rule.tenths > 0))
    return rules.groups[rule.group] - abs(total(same_side, at))


def _warmed(interest: Interest, before: str, heats: Mapping[str, Heat], at: int) -> str:
    """Only something a lead does makes it warmer; time alone never does."""
    engagement = interest.engagement(at)
    for heat in heats.values():
        shown = interest.intent_at is not None and heat.intent_within is not None and interest.intent_at == at
        if heat.level == before or shown or (engagement >= heat.enter and interest.earned_at == at):
            return heat.level
    return COLD
