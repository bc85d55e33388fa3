"""Hearing by reading the speakers' logs where they lie: for one machine, all services in one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from shared import log, metrics
from shared.bus.progress import Progress
from shared.consumer import Consumer, Unsealed
from shared.database import is_transient
from shared.events.codec import Stored
from shared.events.topics import SPEAKERS

if TYPE_CHECKING:
    from shared.database import Connection, Database

READER = "hear"
BATCH = 500
PER_LANE = 50
POLL_SECONDS = (0.005, 0.040)
# A position given out but not yet committed is looked for this long at every turn, and then at every slow turn.
RESTLESS_SECONDS = 2.0
SLOW_TURN_SECONDS = 0.5
# The second key of the advisory lock that lets one worker at a time hear for a service.
HEARING_LOCK = 7800

logger = structlog.get_logger("bus")


class PostgresHearer:
    """One worker per service. A second one waits for the first to go and then takes over."""

    def __init__(self, service: str, database: Database, consumer: Consumer[Any], progress: Progress) -> None:
        self.service = service
        self.database = database
        self.consumer = consumer
        self.progress = progress
        self.speakers = sorted({name for topic in consumer.topics for name in SPEAKERS[topic]})
        # A service that was never started here has no log yet; it is looked for again every second.
        self._present: list[str] = []
        self._after: dict[str, dict[int, int]] = {}
        self._since: dict[str, datetime] = {}
        self._heads: dict[str, int] = {}
        self._restless_until = 0.0
        self._next_slow_turn = 0.0

    async def run(self) -> None:
        pause = POLL_SECONDS[0]
        while True:
            try:
                async with self.database.connection() as keeper:
                    if await keeper.fetchval(
                        "SELECT pg_try_advisory_lock($1, $2)", HEARING_LOCK, log.LOCK_OF[self.service]
                    ):
                        await self._hear(keeper)
            except Exception as error:
                if not is_transient(error) and not isinstance(error, Unsealed):
                    raise
                logger.warning("hearing_interrupted", service=self.service, error=type(error).__name__)
            self.progress.ready = False
            self.progress.marks.clear()
            pause = min(pause * 2, 1.0)
            await asyncio.sleep(pause)

    async def _hear(self, keeper: Connection) -> None:
        """Hear until the connection that holds the lock is lost."""
        await self._load(keeper)
        pause, checked = POLL_SECONDS[0], time.monotonic()
        while True:
            taken = await self.turn(keeper)
            self.progress.ready = self._present == self.speakers
            self.progress.alive()
            pause = POLL_SECONDS[0] if taken else min(pause * 1.2, POLL_SECONDS[1])
            if taken < BATCH:
                await asyncio.sleep(pause)
            if time.monotonic() - checked > 1:
                await self.consumer.retry_due()
                if self._present != self.speakers:
                    await self._load(keeper)
                checked = time.monotonic()

    async def _load(self, connection: Connection) -> None:
        now = self.consumer.leads.clock.now()
        self._present = await log.present(connection, self.speakers)
        for speaker in self._present:
            await connection.execute(
                f"""INSERT INTO {self.service}.reading (reader, speaker, lane, pos, as_of)
                    SELECT $1, $2, lane, 0, 'epoch' FROM unnest($3::smallint[]) lane ON CONFLICT DO NOTHING""",
                READER, speaker, log.ALL_LANES,
            )  # fmt: skip
            rows = await connection.fetch(
                f"SELECT lane, pos, as_of FROM {self.service}.reading WHERE reader = $1 AND speaker = $2",
                READER, speaker,
            )  # fmt: skip
            self._after[speaker] = {row["lane"]: row["pos"] for row in rows}
            self._since[speaker] = min([now, *(row["as_of"] for row in rows)])
        self._heads = {}

    async def turn(self, connection: Connection) -> int:
        """Look for events once and apply what is there; answers how many were read."""
        began, moment = self.consumer.leads.clock.now(), time.monotonic()
        heads = await log.head(connection, self._present)
        if heads != self._heads:
            self._heads, self._restless_until = heads, moment + RESTLESS_SECONDS
        elif moment > self._restless_until and moment < self._next_slow_turn:
            self.progress.all_heard(began)
            return 0
        self._next_slow_turn = moment + SLOW_TURN_SECONDS
        stored, drained = await self._read(connection)
        if stored:
            stored = await log.with_cards(connection, stored)
            await self.consumer.take(stored, lambda inner: self._seal(inner, stored, began if drained else None))
            for event in stored:
                speaker, lane, pos = event.place
                self._after[speaker][lane] = max(pos, self._after[speaker][lane])
            metrics.CONSUMER_BATCH.labels(self.service).observe(len(stored))
        if drained:
            self._since = dict.fromkeys(self._present, began)
            self.progress.all_heard(began)
        self.progress.lag = 0 if drained else len(stored)
        metrics.CONSUMER_LAG.labels(self.service).set(self.progress.lag)
        return len(stored)

    async def _read(self, connection: Connection) -> tuple[list[Stored], bool]:
        """The next events over all lanes of all speakers, and whether these are all there are."""
        stored: list[Stored] = []
        drained = True
        for speaker in self._present:
            found = await log.read(connection, speaker, self._after[speaker], self._since[speaker], PER_LANE)
            per_lane: dict[int, int] = {}
            for event in found:
                per_lane[event.place[1]] = per_lane.get(event.place[1], 0) + 1
            drained = drained and max(per_lane.values(), default=0) < PER_LANE
            stored += found
        if len(stored) > BATCH:
            stored, drained = _first(stored, BATCH), False
        return stored, drained

    async def _seal(self, connection: Connection, stored: Sequence[Stored], as_of: datetime | None) -> None:
        """Move the positions in the transaction of the effects: neither is ever there without the other."""
        for speaker, reached in _reached(stored).items():
            before = self._after[speaker]
            moved = await connection.execute(
                f"""UPDATE {self.service}.reading r SET pos = n.pos, as_of = coalesce($6, r.as_of)
                    FROM unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS n(lane, was, pos)
                    WHERE r.reader = $1 AND r.speaker = $2 AND r.lane = n.lane AND r.pos = n.was""",
                READER, speaker, list(reached), [before[lane] for lane in reached], list(reached.values()), as_of,
            )  # fmt: skip
            if int(moved.split()[-1]) != len(reached):
                raise Unsealed


def _first(stored: Sequence[Stored], count: int) -> list[Stored]:
    """The oldest of them: ids ascend with time across speakers, positions within a lane."""
    taken = sorted(stored, key=lambda event: event.event_id)[:count]
    last: dict[tuple[str, int], int] = {}
    for event in taken:
        speaker, lane, pos = event.place
        last[speaker, lane] = max(pos, last.get((speaker, lane), 0))
    # Ids and positions may differ by a hair between writers; a lane is only ever cut at a position.
    return [event for event in stored if event.place[2] <= last.get((event.place[0], event.place[1]), 0)]


def _reached(stored: Sequence[Stored]) -> Mapping[str, dict[int, int]]:
    reached: dict[str, dict[int, int]] = {}
    for event in stored:
        speaker, lane, pos = event.place
        lanes = reached.setdefault(speaker, {})
        lanes[lane] = max(pos, lanes.get(lane, 0))
    return reached
