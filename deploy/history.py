"""What the services have said, read from their logs in the order in which it can be told again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared import log
from shared.bus.kafka import KafkaRelay, ensure_topics, producing, publish
from shared.clock import EPOCH, uuid7_at
from shared.database import Connection
from shared.events.codec import Stored
from shared.events.topics import LANES, SERVICES, Topic, lane_of

CHUNK = 1000

_WHERE = "topic = ANY($1::text[]) AND event_id >= $2 AND ($3::uuid IS NULL OR lead_id = $3)"
# By time, but a lead's events as they are numbered, however the clocks of two speakers differ.
_ORDER = """max(event_id::text COLLATE "C") OVER (PARTITION BY topic, lead_id ORDER BY seq, event_id), seq, event_id"""


@dataclass(frozen=True)
class Wanted:
    """Which events: of these topics, recorded since, of one lead or of all; `unpublished`: not by a relay before."""

    topics: tuple[Topic, ...] = tuple(Topic)
    since: datetime = EPOCH
    lead_id: UUID | None = None
    unpublished: bool = False

    @property
    def values(self) -> tuple[object, ...]:
        return list(self.topics), uuid7_at(self.since), self.lead_id

    @property
    def lanes(self) -> list[int]:
        return list(range(LANES)) if self.lead_id is None else [lane_of(self.lead_id)]


async def is_known(connection: Connection, lead_id: UUID) -> bool:
    """Whether any service in this database has ever said something of the lead."""
    for speaker in await log.present(connection, SERVICES):
        if await connection.fetchval(f"SELECT 1 FROM bus.{speaker}_log WHERE lead_id = $1 LIMIT 1", lead_id):
            return True
    return False


async def beginnings(connection: Connection, wanted: Wanted) -> tuple[dict[str, dict[int, int]], int]:
    """The position before the first of these events, by speaker and lane, and how many events there are."""
    before: dict[str, dict[int, int]] = {}
    count = 0
    for speaker in await log.present(connection, SERVICES):
        rows = await connection.fetch(
            f"SELECT lane, min(pos) - 1 AS pos, count(*) AS events FROM bus.{speaker}_log WHERE {_WHERE} GROUP BY lane",
            *wanted.values,
        )
        count += sum(row["events"] for row in rows)
        before[speaker] = {row["lane"]: row["pos"] for row in rows}
    return before, count


async def told(connection: Connection, wanted: Wanted, lane: int) -> AsyncGenerator[list[Stored]]:
    """These events of one lane, some at a time, each card as it now is; `place` says where each lies."""
    speakers = await log.present(connection, SERVICES)
    logs = " UNION ALL ".join(
        f"""SELECT '{speaker}' AS speaker, l.* FROM bus.{speaker}_log l WHERE lane = $4 AND {_WHERE} AND (
            NOT $5 OR pos > coalesce((SELECT pos FROM {speaker}.reading
                WHERE reader = '{KafkaRelay.reader}' AND speaker = '{speaker}' AND lane = $4), 0))"""
        for speaker in speakers
    )
    values = (*wanted.values, lane, wanted.unpublished)
    async with connection.transaction():
        cursor = await connection.cursor(f"SELECT * FROM ({logs}) l ORDER BY {_ORDER}", *values)
        while rows := await cursor.fetch(CHUNK):
            stored = [log.event_in(row, (row["speaker"], lane, row["pos"])) for row in rows]
            yield await log.with_cards(connection, stored)


async def publish_again(
    connection: Connection, bootstrap: str, prefix: str, wanted: Wanted, tell: Callable[[int, int], None]
) -> Counter[str]:
    """Publish these events, as they were published first, lane after lane; answers how many of each topic.

    `tell` is called with the lanes done and the events published so far. Raises `KafkaError`, `RelayLost` and
    `TimeoutError` when Kafka does not take them: what it took is there, and may be brought once more.
    """
    count: Counter[str] = Counter()
    await ensure_topics(bootstrap, prefix, wanted.topics)
    async with producing(bootstrap) as producer:
        for done, lane in enumerate(wanted.lanes):
            reached: dict[str, int] = {}
            async for stored in told(connection, wanted, lane):
                await publish(producer, prefix, stored)
                count.update(str(event.topic) for event in stored)
                for event in stored:
                    reached[event.place[0]] = max(event.place[2], reached.get(event.place[0], 0))
                tell(done, count.total())
            if wanted.unpublished:
                await _note(connection, lane, reached)
            tell(done + 1, count.total())
    return count


async def _note(connection: Connection, lane: int, reached: Mapping[str, int]) -> None:
    """From here on the speakers' relays go on."""
    for speaker, pos in reached.items():
        await connection.execute(
            f"""INSERT INTO {speaker}.reading AS r (reader, speaker, lane, pos, as_of) VALUES ($1, $2, $3, $4, 'epoch')
                ON CONFLICT (reader, speaker, lane) DO UPDATE SET pos = greatest(r.pos, excluded.pos)""",
            KafkaRelay.reader, speaker, lane, pos,
        )  # fmt: skip
