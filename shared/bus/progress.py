"""How far a service has come in what it hears: the moment up to which nothing recorded is still unheard, per lane.

A timer fires when this moment has passed it, not the wall clock: what a lead did before its timer ran out is always
taken into account first, also after an hour of outage.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timedelta

from shared.events.topics import LANES

# An event gets its time a little before it can be read.
MARGIN = timedelta(seconds=1)


@dataclasses.dataclass(slots=True)
class Progress:
    """`marks` holds the lanes this process looks after, `rounds` when each piece of its work last came round
    (monotonic)."""

    marks: dict[int, datetime] = dataclasses.field(default_factory=dict[int, datetime])
    lag: int = 0
    rounds: dict[str, float] = dataclasses.field(default_factory=dict[str, float])
    ready: bool = False

    def all_heard(self, until: datetime) -> None:
        self.heard(range(LANES), until)

    def heard(self, lanes: range | list[int], until: datetime) -> None:
        """Also where that is earlier than it was: a clock was put back, and what comes now is recorded by it."""
        for lane in lanes:
            self.marks[lane] = until - MARGIN

    def alive(self, work: str) -> None:
        """This piece of work has come round; from now on it has to at least every minute."""
        self.rounds[work] = time.monotonic()

    def rest(self, work: str) -> None:
        """It does not come round for now: what it waits for has a deadline of its own."""
        self.rounds.pop(work, None)

    def all_alive(self) -> None:
        for work in list(self.rounds):
            self.alive(work)

    def silent_for(self, seconds: float) -> list[str]:
        """The work that has not come round for so long."""
        now = time.monotonic()
        return [work for work, came_round in list(self.rounds.items()) if now - came_round > seconds]
