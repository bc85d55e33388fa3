"""One contact with one person: planned, given to the mail server once, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto
from uuid import UUID, uuid5

from services.nurture.domain.journey import Delivery


class State(StrEnum):
    """`claimed`: a sender has it in hand. `unknown`: it may have been accepted. `skipped`: it will not be sent."""

    planned = auto()
    claimed = auto()
    sent = auto()
    deferred = auto()
    skipped = auto()
    unknown = auto()
    failed = auto()


OPEN = frozenset({State.planned, State.deferred})
"""Not yet in anybody's hands, and may still be sent."""

# Greylisting servers let a mail in after some minutes; one that is refused for a day and a half never gets in.
RETRY_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
)


class Fate(StrEnum):
    """What came of handing a mail to the server.

    `refused`: not now, `refused_for_good`: never this mail, `bounced`: never any mail to this address. `rehearsed`:
    the lead is a test and nobody is written to.
    """

    accepted = auto()
    uncertain = auto()
    refused = auto()
    refused_for_good = auto()
    bounced = auto()
    rehearsed = auto()


@dataclass(frozen=True, slots=True)
class Touch:
    """`attempts` counts the claims; whoever settles a claim names its number, so that a late word changes nothing.

    `lapsed`: claimed, and the time within which its sender had to settle it is over. `trace` is the trace of what led
    to it.
    """

    touch_id: UUID
    cycle: int
    journey: str
    step: str
    purpose: str
    due_at: datetime
    at: datetime
    delivery: Delivery = Delivery.at_most_once
    channel: str = "email"
    state: State = State.planned
    attempts: int = 0
    reason: str = ""
    trace: str = ""
    lapsed: bool = False

    @property
    def key(self) -> tuple[int, str, str]:
        return self.cycle, self.journey, self.step

    def skipped(self, reason: str, now: datetime) -> Touch:
        return replace(self, state=State.skipped, reason=reason, at=now)

    def settled(self, fate: Fate, reason: str, now: datetime) -> Touch:
        """The touch after an attempt."""
        if fate is Fate.uncertain and self.delivery is Delivery.at_least_once and self._may_be_tried_again:
            fate = Fate.refused
        if fate is Fate.refused:
            return self._put_off(reason, now)
        state, because = {
            Fate.accepted: (State.sent, ""),
            Fate.uncertain: (State.unknown, reason),
            Fate.refused_for_good: (State.failed, reason),
            Fate.bounced: (State.failed, reason),
            Fate.rehearsed: (State.skipped, "test"),
        }[fate]
        return replace(self, state=state, reason=because, at=now, lapsed=False)

    @property
    def _may_be_tried_again(self) -> bool:
        return self.attempts <= len(RETRY_AFTER)

    def _put_off(self, reason: str, now: datetime) -> Touch:
        if not self._may_be_tried_again:
            return replace(self, state=State.failed, reason="gave_up", at=now, lapsed=False)
        due_at = now + RETRY_AFTER[max(self.attempts, 1) - 1]
        return replace(self, state=State.deferred, reason=reason, due_at=due_at, at=now, lapsed=False)


def touch_id_of(lead_id: UUID, cycle: int, journey: str, step: str) -> UUID:
    """A touch is what it is for whom: planned twice it is still one."""
    return uuid5(lead_id, f"{cycle}/{journey}/{step}")
