"""Carrying a service's log into Kafka: create the topics, publish lane by lane in order, remember how far."""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared import log, metrics
from shared.clock import Clock
from shared.database import is_transient
from shared.events.capture import CardChanged, CardErased
from shared.events.codec import Stored, to_headers
from shared.events.topics import SPEAKERS, Topic, lane_of

if TYPE_CHECKING:
    from shared.database import Connection, Database

READER = "relay"
# All topics have the same number of partitions, so that one member of a group has a lead whole. Never changed:
# a lead's partition is its lane modulo this number.
PARTITIONS = 12
PER_LANE = 50
BATCH = 2000
ACK_SECONDS = 15
STOP_SECONDS = 5
POLL_SECONDS = (0.005, 0.040)
RESTLESS_SECONDS = 2.0
SLOW_TURN_SECONDS = 0.5
KEEP_TOMBSTONES = timedelta(days=7)

logger = structlog.get_logger("bus")


class RelayLost(Exception):
    """Kafka did not take a batch in time. What it took may still arrive; hearers drop what they have had."""


def partition_of(lead_id: UUID) -> int:
    return lane_of(lead_id) % PARTITIONS


async def ensure_topics(bootstrap: str, prefix: str, topics: Sequence[Topic], replication: int = 1) -> None:
    """Create the topics that are missing. Raises `RuntimeError` when one exists with other partitions than ours."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    await asyncio.wait_for(admin.start(), ACK_SECONDS)
    try:
        for topic in topics:
            try:
                await admin.create_topics([_new_topic(prefix, topic, replication)])
            except TopicAlreadyExistsError:
                continue
        for described in await admin.describe_topics([prefix + topic for topic in topics]):
            if described["error_code"] == 0 and len(described["partitions"]) != PARTITIONS:
                raise RuntimeError(
                    f"{described['topic']} has {len(described['partitions'])} partitions, not {PARTITIONS}"
                )
    finally:
        await admin.close()


def _new_topic(prefix: str, topic: Topic, replication: int) -> NewTopic:
    if topic is Topic.CARD:
        keep = str(int(KEEP_TOMBSTONES.total_seconds() * 1000))
        configs = {"cleanup.policy": "compact", "delete.retention.ms": keep}
    else:
        configs = {"cleanup.policy": "delete", "retention.ms": "-1"}
    return NewTopic(prefix + topic, PARTITIONS, replication, topic_configs=configs)


class KafkaRelay:
    """Publishes a service's log. Several may run: a lane is published by one at a time, by its locked row."""

    def __init__(self, service: str, database: Database, bootstrap: str, prefix: str, clock: Clock) -> None:
        self.service = service
        self.prefix = prefix
        self.database = database
        self.bootstrap = bootstrap
        self.clock = clock
        self.ready = False
        self._heads: dict[str, int] = {}
        self._restless_until = 0.0
        self._next_slow_turn = 0.0

    async def run(self) -> None:
        pause = 0.2
        while True:
            try:
                topics = [topic for topic in Topic if self.service in SPEAKERS[topic]]
                await ensure_topics(self.bootstrap, self.prefix, topics)
                await self._relay()
            except Exception as error:
                if not (is_transient(error) or isinstance(error, KafkaError | RelayLost)):
                    raise
                logger.warning("relay_interrupted", service=self.service, error=type(error).__name__)
            self.ready = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 3.0)

    async def _relay(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            max_batch_size=65_536,
            request_timeout_ms=10_000,
            max_request_size=1_048_576,
        )
        try:
            await asyncio.wait_for(producer.start(), ACK_SECONDS)
            async with self.database.transaction() as connection:
                await self._begin(connection)
            self.ready, pause = True, POLL_SECONDS[0]
            while True:
                sent = await self._turn(producer)
                pause = POLL_SECONDS[0] if sent else min(pause * 1.2, POLL_SECONDS[1])
                if not sent:
                    await asyncio.sleep(pause)
        finally:
            # An idempotent producer with unsent records waits for ever; what it held is still in the log.
            try:
                await asyncio.wait_for(producer.stop(), STOP_SECONDS)
            except (TimeoutError, KafkaError):
                logger.warning("producer_abandoned", service=self.service)

    async def _begin(self, connection: Connection) -> None:
        await connection.execute(
            f"""INSERT INTO {self.service}.reading (reader, speaker, lane, pos, as_of)
                SELECT $1, $2, lane, 0, 'epoch' FROM unnest($3::smallint[]) lane ON CONFLICT DO NOTHING""",
            READER, self.service, log.ALL_LANES,
        )  # fmt: skip

    async def _turn(self, producer: AIOKafkaProducer) -> int:
        moment = time.monotonic()
        async with self.database.connection() as connection:
            heads = await log.head(connection, [self.service])
        if heads != self._heads:
            self._heads, self._restless_until = heads, moment + RESTLESS_SECONDS
        elif moment > self._restless_until and moment < self._next_slow_turn:
            return 0
        self._next_slow_turn = moment + SLOW_TURN_SECONDS
        began = self.clock.now()
        async with self.database.transaction() as connection:
            rows = await connection.fetch(
                f"""SELECT lane, pos, as_of FROM {self.service}.reading WHERE reader = $1 AND speaker = $2
                    ORDER BY lane FOR UPDATE SKIP LOCKED""",
                READER, self.service,
            )  # fmt: skip
            if not rows:
                return 0
            after = {row["lane"]: row["pos"] for row in rows}
            since = min(row["as_of"] for row in rows)
            stored = (await log.read(connection, self.service, after, since, PER_LANE))[:BATCH]
            if not stored:
                metrics.RELAY_OLDEST.labels(self.service).set(0)
                return 0
            metrics.RELAY_OLDEST.labels(self.service).set(_age(stored[0].event_id, began))
            await self._publish(producer, await log.with_cards(connection, stored))
            reached = {event.place[1]: event.place[2] for event in stored}
            await connection.execute(
                f"""UPDATE {self.service}.reading r SET pos = n.pos, as_of = $5
                    FROM unnest($3::smallint[], $4::bigint[]) AS n(lane, pos)
                    WHERE r.reader = $1 AND r.speaker = $2 AND r.lane = n.lane""",
                READER, self.service, list(reached), list(reached.values()), began,
            )  # fmt: skip
        metrics.RELAY_PUBLISHED.labels(self.service).inc(len(stored))
        return len(stored)

    async def _publish(self, producer: AIOKafkaProducer, stored: Sequence[Stored]) -> None:
        """Send in order and wait for every acknowledgement: a lane goes on only from what Kafka has."""

        async def send_all() -> None:
            sent = [
                await producer.send(
                    self.prefix + event.topic,
                    key=_key(event),
                    value=None if event.type == CardErased.type else event.body.encode(),
                    headers=to_headers(event),
                    partition=partition_of(event.lead_id),
                )
                for event in _newest_cards_only(stored)
            ]
            await asyncio.gather(*sent)

        try:
            await asyncio.wait_for(send_all(), ACK_SECONDS)
        except TimeoutError as error:
            raise RelayLost from error


def _age(event_id: UUID, now: datetime) -> float:
    """Seconds since the event was recorded: a UUIDv7 begins with its milliseconds."""
    return max(0.0, now.timestamp() - (event_id.int >> 80) / 1000)


def _key(event: Stored) -> bytes:
    return str(event.lead_id).encode()


def _newest_cards_only(stored: Sequence[Stored]) -> list[Stored]:
    """A card is read as it is now, so two rows of one lead would carry the same card twice."""
    seen: set[tuple[UUID, int]] = set()
    kept: list[Stored] = []
    for event in stored:
        if event.type in (CardChanged.type, CardErased.type):
            if (event.lead_id, event.seq) in seen:
                continue
            seen.add((event.lead_id, event.seq))
        kept.append(event)
    return kept
