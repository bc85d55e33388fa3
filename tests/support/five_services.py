"""Five services that share one lead over a hostile network, each with nothing but its own copy of the stage.

The network delivers in any order, late, and again; one service hears everything later than the others. Stage decisions
are those of `shared.lifecycle`. A `Discipline` with a rule left out makes the mutants that the tests must catch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from shared.errors import Refused
from shared.lifecycle import EDGES, MAIN_LINE, Stage, StageChange, adopt, move, owner, reasons_for
from shared.reasons import Reason

# What the owner does about a fact: the reason, and the first of these stages that the lead can go to. Who buys before
# being registered is registered on the way, since only then a service owns the lead that can make a customer of it.
ANSWERS: dict[str, tuple[Reason, tuple[Stage, ...]]] = {
    "purchase": (Reason.purchase, (Stage.customer, Stage.registered, Stage.captured)),
    "flagged": (Reason.spam, (Stage.disqualified,)),
}
SERVICES = ("capture", "scoring", "nurture", "handover", "insights")


@dataclass(frozen=True)
class Fact:
    """What somebody learned about the lead and said on another topic, whoever owned the lead then."""

    id: int
    kind: Literal["purchase", "flagged"]


@dataclass(frozen=True)
class StageSaid:
    seq: int
    by: str
    change: StageChange
    cause: int | None = None


@dataclass(frozen=True)
class Discipline:
    asks_who_owns: bool = True
    holds_gaps: bool = True
    keeps_facts: bool = True


@dataclass
class Service:
    name: str
    discipline: Discipline
    stage: Stage | None = None
    before: Stage | None = None
    cycle: int = 0
    seq: int = 0
    held: dict[int, StageSaid] = field(default_factory=dict)
    facts: dict[int, Fact] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)

    @property
    def owns(self) -> bool:
        return owner(self.stage, self.before) == self.name

    def hear(self, message: StageSaid | Fact) -> list[StageSaid]:
        """Takes one message in, in one transaction, and returns what the service says on account of it."""
        if isinstance(message, Fact):
            if message.id not in self.answered and (self.owns or self.discipline.keeps_facts):
                self.facts[message.id] = message
        else:
            self._adopt(message)
        return self._answer_facts()

    def try_to_move(self, to: Stage, reason: str, cause: int | None = None) -> list[StageSaid]:
        """Says a stage if it may; a refusal says nothing."""
        by = self.name if self.discipline.asks_who_owns else owner(self.stage, self.before)
        try:
            change = move(self.stage, self.cycle, to, reason, by, before=self.before)
        except Refused:
            return []
        said = StageSaid(self.seq + 1, self.name, change, cause)
        self._set(said)
        return [said]

    def _adopt(self, event: StageSaid) -> None:
        verdict = adopt(self.seq, event.seq)
        if verdict == "apply":
            self._set(event)
            if following := self.held.pop(event.seq + 1, None):
                self._adopt(following)
        elif verdict == "gap" and self.discipline.holds_gaps:
            self.held[event.seq] = event

    def _set(self, event: StageSaid) -> None:
        self.before = self.stage
        self.stage, self.cycle, self.seq = event.change.to, event.change.cycle, event.seq
        if event.cause is not None and self.stage in (Stage.customer, Stage.disqualified):
            self.answered.add(event.cause)
            self.facts.pop(event.cause, None)

    def _answer_facts(self) -> list[StageSaid]:
        said: list[StageSaid] = []
        while self.owns and (answer := self._next_answer()):
            said += self.try_to_move(*answer)
        return said

    def _next_answer(self) -> tuple[Stage, Reason, int] | None:
        for fact in self.facts.values():
            reason, ends = ANSWERS[fact.kind]
            for to in ends:
                if self.stage is not None and reason in reasons_for(self.stage, to):
                    return to, reason, fact.id
        return None


class World:
    """One lead, five services, and all messages that are still under way to each of them."""

    def __init__(self, random: Random, facts: list[Fact], discipline: Discipline | None = None) -> None:
        self.random = random
        self.facts = facts
        self.services = {name: Service(name, discipline or Discipline()) for name in SERVICES}
        self.under_way: dict[str, list[StageSaid | Fact]] = {name: [] for name in SERVICES}
        self.history: list[StageSaid] = []
        self.slow = random.choice(SERVICES)

    def run(self, steps: int, *, merges: bool = True) -> None:
        """Lets everybody try what they like while messages travel, then lets all messages arrive."""
        self._say(self.services["capture"].try_to_move(self.random.choice([Stage.prospect, Stage.captured]), "manual"))
        learned_at = {fact: self.random.randrange(steps) for fact in self.facts}
        for step in range(steps):
            for fact in (fact for fact, at in learned_at.items() if at == step):
                self._spread(fact)
            if self.random.random() < 0.3:
                self._somebody_tries(merges)
            else:
                self._something_arrives(again=self.random.random() < 0.2)
        while any(self.under_way.values()):
            self._something_arrives(again=False)

    def _somebody_tries(self, merges: bool) -> None:
        owning = [service for service in self.services.values() if service.owns]
        others = list(self.services.values())
        service = self.random.choice(owning if owning and self.random.random() < 0.6 else others)
        to = self._wish(service)
        # Only a purchase makes a customer here, so that the tests can tell whether one was forgotten.
        if to == Stage.customer or (to == Stage.merged and not merges):
            return
        reasons = sorted(reasons_for(service.stage, to)) or [Reason.manual]
        self._say(service.try_to_move(to, self.random.choice(reasons)))

    def _wish(self, service: Service) -> Stage:
        """Half the time one stage along the main line, so that leads get far; else any edge, or anything at all."""
        chance = self.random.random()
        if service.stage in MAIN_LINE[:-1] and chance < 0.5:
            return MAIN_LINE[MAIN_LINE.index(service.stage) + 1]
        if service.stage is not None and service.stage != Stage.merged and chance < 0.9:
            return self.random.choice(sorted(EDGES[service.stage]))
        if service.before is not None and chance < 0.9:
            return service.before
        return self.random.choice(list(Stage))

    def _something_arrives(self, *, again: bool) -> None:
        waiting = [name for name, messages in self.under_way.items() if messages]
        prompt = [name for name in waiting if name != self.slow or self.random.random() < 0.1]
        if not waiting:
            return
        name = self.random.choice(prompt or waiting)
        messages = self.under_way[name]
        index = self.random.randrange(len(messages))
        message = messages[index] if again else messages.pop(index)
        self._say(self.services[name].hear(message))

    def _say(self, said: list[StageSaid]) -> None:
        self.history += said
        for event in said:
            self._spread(event)

    def _spread(self, message: StageSaid | Fact) -> None:
        for messages in self.under_way.values():
            messages.append(message)
