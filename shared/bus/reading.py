"""Reading speakers' logs where they lie: one worker at a time, in order per lane, from where the last one came to."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from shared import log
from shared.errors import Unavailable
from shared.events.codec import Stored
from shared.patience import patiently

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

PER_LANE = 50
POLL_SECONDS = (0.005, 0.040)
# A position given out but not yet seen is looked for this long at every turn; then it counts as rolled back, and if it
# was not, a slow turn finds it.
RESTLESS_SECONDS = 2.0
SLOW_TURN_SECONDS = 0.5
STANDBY_SECONDS = 1.0
# A worker that is silent so long, as one whose process was stopped, loses its turn to the next.
SILENT_SECONDS = 20.0


class Unsealed(Unavailable):
    """The position was moved by another worker: the batch is its business now."""


class LogReader(ABC):
    """Reads the logs of `speakers` for a service. A second worker waits for the first to go and then takes over."""

    reader: ClassVar[str]
    """Under which name the positions are kept in the service's table `reading`."""
    lock: ClassVar[int]
    """The first key of the advisory lock that lets one worker at a time read; the second is the service's."""
    batch: ClassVar[int]
    passing: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, runtime: Runtime[Any], speakers: Iterable[str]) -> None:
        self.service = runtime.service.name
        self.progress = runtime.progress
        self.database = runtime.database
        self.clock = runtime.clock
        self.speakers = sorted(speakers)
        # A service that was never started here has no log yet; it is looked for again every second.
        self.present: list[str] = []
        self.ready = False
        self._after: dict[str, dict[int, int]] = {}
        self._since: dict[str, datetime] = {}
        # The last position given out in each log, and how many of them are yet to be seen.
        self._heads: dict[str, int] = {}
        self._owed: dict[str, int] = {}
        self._all_until = math.inf
        self._restless_until = 0.0
        self._next_slow_turn = 0.0

    @abstractmethod
    async def hand_on(self, connection: Connection, stored: Sequence[Stored], drained_at: datetime | None) -> None:
        """Bring a batch to where it goes and `seal` it. `drained_at`: when it was read, if it was all there was."""

    @abstractmethod
    def looked(self, found: int, drained_at: datetime | None) -> None:
        """Told after every turn, also one that found nothing."""

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """What is held open while this worker is the one that reads."""
        yield

    async def run(self) -> None:
        await patiently(self._follow, f"{self.reader}_interrupted", self.service, *self.passing)

    async def _follow(self) -> float:
        """Read until the connection that holds the lock is lost; seconds to wait where another worker has it."""
        self.progress.rest(self.reader)
        async with self.database.connection() as keeper:
            if not await keeper.fetchval("SELECT pg_try_advisory_lock($1, $2)", self.lock, log.LOCK_OF[self.service]):
                self.ready = True
                return STANDBY_SECONDS
            await keeper.execute(f"SET idle_session_timeout = '{SILENT_SECONDS * 1000:.0f}ms'")
            try:
                async with self.working():
                    await self._read_on(keeper)
            finally:
                self.ready = False
                if not keeper.is_closed():
                    await keeper.reset()

    async def _read_on(self, keeper: Connection) -> NoReturn:
        self.progress.alive(self.reader)
        await self.begin(keeper)
        pause, checked = POLL_SECONDS[0], time.monotonic()
        while True:
            taken = await self.turn(keeper)
            self.progress.alive(self.reader)
            self.ready = True
            pause = POLL_SECONDS[0] if taken else min(pause * 1.2, POLL_SECONDS[1])
            if taken < self.batch:
                await asyncio.sleep(pause)
            if self.present != self.speakers and time.monotonic() - checked > 1:
                checked = time.monotonic()
                await self.begin(keeper)

    async def begin(self, connection: Connection) -> None:
        now = self.clock.now()
        self.present = await log.present(connection, self.speakers)
        for speaker in self.present:
            await connection.execute(
                f"""INSERT INTO {self.service}.reading (reader, speaker, lane, pos, as_of)
                    SELECT $1, $2, lane, 0, 'epoch' FROM unnest($3::smallint[]) lane ON CONFLICT DO NOTHING""",
                self.reader, speaker, log.ALL_LANES,
            )  # fmt: skip
            rows = await connection.fetch(
                f"SELECT lane, pos, as_of FROM {self.service}.reading WHERE reader = $1 AND speaker = $2",
                self.reader, speaker,
            )  # fmt: skip
            self._after[speaker] = {row["lane"]: row["pos"] for row in rows}
            self._since[speaker] = min([now, *(row["as_of"] for row in rows)])
        self._heads, self._all_until = {}, math.inf

    async def turn(self, connection: Connection) -> int:
        """Look for events once and hand on what is there; answers how many were read."""
        began, moment = self.clock.now(), time.monotonic()
        logs = self._unread(await log.head(connection, self.present), moment)
        if not logs:
            self.looked(0, began)
            return 0
        stored, drained = await self.read(connection, logs)
        drained_at = began if drained else None
        if stored:
            await self.hand_on(connection, await log.with_cards(connection, stored), drained_at)
            self.go_on_after(stored)
        if drained:
            self._since |= dict.fromkeys(logs, began)
        self._all_until = min(self._all_until, moment + RESTLESS_SECONDS) if drained else math.inf
        self.looked(len(stored), drained_at)
        return len(stored)

    def _unread(self, heads: dict[str, int], moment: float) -> list[str]:
        """The logs to read now: where positions were given out that are yet to be seen, and now and then all.

        After a backlog, too, it is all for a while, as it is not known what was still uncommitted in it.
        """
        for speaker, head in heads.items():
            if given_out := head - self._heads.get(speaker, head):
                self._owed[speaker] = self._owed.get(speaker, 0) + given_out
                self._restless_until = moment + RESTLESS_SECONDS
        self._heads = heads
        if moment < self._all_until or moment > self._restless_until:
            self._owed.clear()
        if moment < self._all_until or moment > self._next_slow_turn:
            self._next_slow_turn = moment + SLOW_TURN_SECONDS
            return self.present
        return [speaker for speaker in self.present if self._owed.get(speaker)]

    async def read(self, connection: Connection, logs: Sequence[str]) -> tuple[list[Stored], bool]:
        """The next events over all lanes of these logs, cards without their body, and whether these are all."""
        stored: list[Stored] = []
        drained = True
        for speaker in logs:
            found = await log.read(connection, speaker, self._after[speaker], self._since[speaker], PER_LANE)
            per_lane = Counter(event.place[1] for event in found)
            drained = drained and max(per_lane.values(), default=0) < PER_LANE
            stored += found
        if len(stored) > self.batch:
            stored, drained = _first(stored, self.batch), False
        return stored, drained

    def go_on_after(self, stored: Sequence[Stored]) -> None:
        for (speaker, lane), pos in _reached(stored).items():
            self._after[speaker][lane] = pos
        for event in stored:
            if event.place[0] in self._owed:
                self._owed[event.place[0]] -= 1

    async def seal(self, connection: Connection, stored: Sequence[Stored], drained_at: datetime | None) -> None:
        """Note that these were handed on. Raises `Unsealed` when another worker was here."""
        reached = [(*log, pos, self._after[log[0]][log[1]]) for log, pos in _reached(stored).items()]
        moved = await connection.execute(
            f"""UPDATE {self.service}.reading r SET pos = n.pos, as_of = coalesce($6, r.as_of)
                FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[]) AS n(speaker, lane, pos, was)
                WHERE r.reader = $1 AND r.speaker = n.speaker AND r.lane = n.lane AND r.pos = n.was""",
            self.reader, *map(list, zip(*reached, strict=True)), drained_at,
        )  # fmt: skip
        if int(moved.split()[-1]) != len(reached):
            raise Unsealed


def _first(stored: Sequence[Stored], count: int) -> list[Stored]:
    """The oldest of them: ids ascend with time across speakers, positions within a lane."""
    last = _reached(sorted(stored, key=lambda event: event.event_id)[:count])
    # Ids and positions may differ by a hair between writers; a lane is only ever cut at a position.
    return [event for event in stored if event.place[2] <= last.get(event.place[:2], 0)]


def _reached(stored: Iterable[Stored]) -> dict[tuple[str, int], int]:
    """The last position of each lane of each speaker."""
    reached: dict[tuple[str, int], int] = {}
    for event in stored:
        speaker, lane, pos = event.place
        reached[speaker, lane] = max(pos, reached.get((speaker, lane), 0))
    return reached
