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
    """`marks` holds the lanes this process looks after. `moved` is when it last got something done (monotonic)."""

    marks: dict[int, datetime] = dataclasses.field(default_factory=dict[int, datetime])
    lag: int = 0
    moved: float = dataclasses.field(default_factory=time.monotonic)
    ready: bool = False

    def all_heard(self, until: datetime) -> None:
        self.heard(range(LANES), until)

    def heard(self, lanes: range | list[int], until: datetime) -> None:
        for lane in lanes:
            self.marks[lane] = max(until - MARGIN, self.marks.get(lane, until - MARGIN))

    def alive(self) -> None:
        self.moved = time.monotonic()
