"""A lead as nurture knows it: the person, its ways through journeys, its touches, and what forbids writing to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.nurture.domain.journey import Enrolment
from services.nurture.domain.person import Person, Suppression
from services.nurture.domain.touch import OPEN, Touch


@dataclass(slots=True)
class Changed:
    """What is to be written down: the person, and keys of the other tables."""

    person: bool = False
    enrolments: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])
    touches: set[tuple[int, str, str]] = field(default_factory=set[tuple[int, str, str]])
    suppressions: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class Nurtured:
    """`touches`, by (cycle, journey, step), are those not done; `suppressions`, by purpose, those of the address.

    `examined` is False as long as the address is so new that its suppressions have not been looked up. Changes go
    through the methods: `changed` holds what they touched, which is what is written down.
    """

    person: Person = field(default_factory=Person)
    temperature: str = ""
    score: float | None = None
    enrolments: dict[tuple[int, str], Enrolment] = field(default_factory=dict[tuple[int, str], Enrolment])
    touches: dict[tuple[int, str, str], Touch] = field(default_factory=dict[tuple[int, str, str], Touch])
    suppressions: dict[str, Suppression] = field(default_factory=dict[str, Suppression])
    examined: bool = True
    changed: Changed = field(default_factory=Changed)

    def refusal(self, purpose: str) -> str:
        """Why the person may not be written to for that purpose; empty when they may."""
        return self.person.refusal(purpose, self.suppressions.get(purpose))

    def know(self, person: Person) -> None:
        """The card changed. What forbids an address says nothing of another one."""
        if person.email != self.person.email:
            self.suppressions, self.examined = {}, False
        self.person = person
        self.changed.person = True

    def rate(self, score: float, temperature: str) -> None:
        self.score, self.temperature = score, temperature
        self.changed.person = True

    def suppress(self, purpose: str, suppression: Suppression) -> None:
        self.suppressions[purpose] = suppression
        self.changed.suppressions.add(purpose)

    def keep(self, enrolment: Enrolment) -> Enrolment:
        key = enrolment.cycle, enrolment.journey
        self.enrolments[key] = enrolment
        self.changed.enrolments.add(key)
        return enrolment

    def drop(self, enrolment: Enrolment) -> None:
        """Forget a way that was never begun."""
        key = enrolment.cycle, enrolment.journey
        del self.enrolments[key]
        self.changed.enrolments.add(key)

    def put(self, touch: Touch) -> Touch:
        self.touches[touch.key] = touch
        self.changed.touches.add(touch.key)
        return touch

    def active(self) -> list[Enrolment]:
        return [enrolment for enrolment in self.enrolments.values() if enrolment.active]

    def open_touches(self, enrolment: Enrolment) -> Iterable[Touch]:
        """The touches of this enrolment that may still be sent."""
        way = (enrolment.cycle, enrolment.journey)
        return [touch for touch in self.touches.values() if touch.key[:2] == way and touch.state in OPEN]
