"""A lead as scoring knows it: what it remembers from event to event, and what an event adds to its records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from services.scoring.domain.award import Award, total
from services.scoring.domain.conditions import Known
from services.scoring.domain.cooling import earliest, first_crossing, line_of, none_crossed_before, quiet_at
from services.scoring.domain.engagement import Fact, Interest
from services.scoring.domain.ledger import Entry
from services.scoring.domain.ruleset import COLD, UNKNOWN, RuleSet
from services.scoring.domain.stages import Asked, Bought, Figures, Flagged, leaves_below
from shared.lifecycle import Stage


@dataclass(frozen=True, slots=True)
class Cycle:
    """One round of a lead. `begun_by` is the event that brought it about; it counts in this cycle."""

    number: int
    since: int
    begun_by: str = ""


@dataclass(frozen=True, slots=True)
class FitEntry:
    """A fit entry that counts now, as the points history has it."""

    id: UUID
    rule_version: int
    since: int
    award: Award


@dataclass(frozen=True, slots=True)
class Said:
    """The figures last said; points in tenths."""

    score: int = 0
    grade: str = UNKNOWN
    temperature: str = COLD


@dataclass(frozen=True, slots=True)
class Mark:
    """What a lead was from a moment on: for questions about the past that its points do not answer."""

    at: int
    stage: str
    cycle: int
    grade: str
    temperature: str
    rules_version: int

    @property
    def says(self) -> tuple[object, ...]:
        return self.stage, self.cycle, self.grade, self.temperature, self.rules_version


@dataclass(slots=True)
class Memory:
    """What is kept of a lead in its one row. The points history and the facts are kept apart.

    `last` is the (time, id) of the last fact; `begun`: something other than history has been heard, or history was
    judged.
    """

    interest: Interest = field(default_factory=Interest)
    fit: list[FitEntry] = field(default_factory=list[FitEntry])
    grade: str = UNKNOWN
    last: tuple[int, UUID] | None = None
    cycles: list[Cycle] = field(default_factory=list[Cycle])
    learned: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    begun: bool = False
    as_of: int = 0
    stage_at: int = 0
    stage_reason: str = ""
    served_until: int | None = None
    released_at: int | None = None
    asked: Asked | None = None
    asked_at_birth: Asked | None = None
    bought: Bought | None = None
    bought_at_birth: Bought | None = None
    flagged: Flagged | None = None
    said: Said | None = None
    mark: Mark | None = None

    def cycle_of(self, fact: Fact) -> int:
        """The cycle a fact belongs to: the last one begun by then, or the one it brought about itself."""
        number = max(1, self.cycles[0].number - 1) if self.cycles else 1
        for cycle in self.cycles:
            if cycle.begun_by == str(fact.event_id):
                return cycle.number
            if cycle.since <= fact.at:
                number = cycle.number
        return number

    @property
    def cycle(self) -> int:
        return self.cycles[-1].number if self.cycles else 1

    def figures(self, rules: RuleSet, at: int) -> Figures:
        return Figures(
            fit=self.fit_tenths,
            engagement=self.interest.engagement(at),
            grade=self.grade,
            temperature=self.interest.temperature(rules, at),
        )

    def by_group(self, rules: RuleSet, at: int) -> dict[str, int]:
        """The points of engagement by group, where the rules ask for them."""
        if not rules.asks_for_groups:
            return {}
        members: dict[str, list[Award]] = {}
        for award in self.interest.awards:
            rule = rules.by_code.get(award.rule)
            if rule is not None and rule.group is not None:
                members.setdefault(rule.group, []).append(award)
        return {group: total(awards, at) for group, awards in members.items()}

    def next_crossing(self, rules: RuleSet, figures: Figures, at: int, stage: Stage | None) -> int | None:
        """The next moment after `at` at which time alone takes the lead below a line: of its temperature, or, where
        that is given, of its stage. `figures` are those of `at`."""
        lines, quiet = self._lines(rules, figures, at, stage)
        return earliest(first_crossing(self.interest.awards, lines), quiet)

    def none_crossed_before(self, rules: RuleSet, figures: Figures, at: int, stage: Stage | None) -> int | None:
        """A moment no later than `next_crossing`, for far less work."""
        lines, quiet = self._lines(rules, figures, at, stage)
        return earliest(none_crossed_before(self.interest.awards, lines), quiet)

    def _lines(
        self, rules: RuleSet, figures: Figures, at: int, stage: Stage | None
    ) -> tuple[list[tuple[int, int]], int | None]:
        interest = self.interest
        lines: list[tuple[int, int]] = []
        quiet = None
        heat = rules.heats.get(figures.temperature)
        if heat is not None:
            lines.append(line_of(heat, at, interest.intent_at))
            quiet = quiet_at(heat, at, interest.earned_at, interest.intent_at)
        leave = None if stage is None else leaves_below(stage, figures.fit, rules)
        if leave is not None and figures.engagement >= leave:
            lines.append((leave, at))
        return lines, quiet

    @property
    def fit_tenths(self) -> int:
        return sum(entry.award.tenths for entry in self.fit)


@dataclass(slots=True)
class Past:
    """All that was ever recorded of a lead; loaded only where something has to be counted anew."""

    facts: list[Fact]
    entries: list[Entry]
    card: Known
    card_event: UUID


@dataclass(slots=True)
class Scored:
    """A lead in a piece of work. `rules` apply now; `rules_version` is the one the lead was last counted under.

    `entries`, `facts`, `marks` and the card are what this work adds to the records; `figures` are set by it last.
    """

    memory: Memory
    rules: RuleSet
    rules_version: int
    rules_since: int
    past: Past | None = None
    entries: list[Entry] = field(default_factory=list[Entry])
    facts: list[Fact] = field(default_factory=list[Fact])
    marks: list[Mark] = field(default_factory=list[Mark])
    card: Known | None = None
    card_event: UUID | None = None
    figures: Figures | None = None


def strongest(awards: Iterable[Award], at: int, most: int = 3) -> list[tuple[str, int]]:
    """The rules that count most for a lead at a moment, each with the tenths of all its awards."""
    worth: dict[str, int] = {}
    for award in awards:
        worth[award.rule] = worth.get(award.rule, 0) + award.worth(at)
    first = sorted(worth.items(), key=lambda one: (-one[1], one[0]))[:most]
    return [(rule, tenths) for rule, tenths in first if tenths > 0]
