"""Carrying a service's log into Kafka: create the topics, publish lane by lane in order, remember how far."""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NodeNotReadyError, TopicAlreadyExistsError

from shared import metrics
from shared.bus.reading import LogReader
from shared.events.capture import CardErased
from shared.events.codec import Stored, to_headers
from shared.events.topics import SPEAKERS, Topic, lane_of

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

# All topics have the same number of partitions, so that one member of a group has a lead whole. Never changed:
# a lead's partition is its lane modulo this number.
PARTITIONS = 12
ACK_SECONDS = 15
TOPICS_SECONDS = 30
STOP_SECONDS = 1
# Between two attempts to reach a broker that is away. With aiokafka's 100 ms five services wrote 500 lines a second
# about theirs, on the processor that a broker beside them needs for its start.
RETRY_MS = 300
KEEP_TOMBSTONES = timedelta(days=7)

logger = structlog.get_logger("bus")


class RelayLost(Exception):
    """Kafka did not take a batch in time. What it took may still arrive; hearers drop what they have had."""


def partition_of(lead_id: UUID) -> int:
    return lane_of(lead_id) % PARTITIONS


async def ensure_topics(bootstrap: str, prefix: str, topics: Sequence[Topic], replication: int = 1) -> None:
    """Create the topics that are missing. Raises `RuntimeError` when one exists with other partitions than ours."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    try:
        async with asyncio.timeout(TOPICS_SECONDS):
            await admin.start()
            for topic in topics:
                with suppress(TopicAlreadyExistsError):
                    await _create(admin, _new_topic(prefix, topic, replication))
            for described in await admin.describe_topics([prefix + topic for topic in topics]):
                if described["error_code"] == 0 and len(described["partitions"]) != PARTITIONS:
                    raise RuntimeError(
                        f"{described['topic']} has {len(described['partitions'])} partitions, not {PARTITIONS}"
                    )
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    try:
        await admin.create_topics([topic])
    except AttributeError as error:
        # The client's own, while a cluster that comes back has not yet said who controls it.
        raise NodeNotReadyError from error


def _new_topic(prefix: str, topic: Topic, replication: int) -> NewTopic:
    if topic is Topic.CARD:
        keep = str(int(KEEP_TOMBSTONES.total_seconds() * 1000))
        configs = {"cleanup.policy": "compact", "delete.retention.ms": keep}
    else:
        configs = {"cleanup.policy": "delete", "retention.ms": "-1"}
    return NewTopic(prefix + topic, PARTITIONS, replication, topic_configs=configs)


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncGenerator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=65_536,
        request_timeout_ms=10_000, retry_backoff_ms=RETRY_MS, max_request_size=1_048_576,
    )  # fmt: skip
    try:
        async with asyncio.timeout(ACK_SECONDS):
            await producer.start()
        yield producer
    finally:
        # An idempotent producer with unsent records waits for ever; what it held is still in the log.
        if not await ended(producer, STOP_SECONDS):
            logger.warning("producer_abandoned")
            if (sender := producer._sender.sender_task) is not None:  # pyright: ignore[reportPrivateUsage]
                sender.cancel()
            await producer.client.close()


async def ended(client: AIOKafkaProducer | AIOKafkaConsumer, seconds: float) -> bool:
    """Whether a client that was told to stop did so in time. One that waits to ask again may end with a cancellation
    that nobody meant for us."""
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait([stopping], timeout=seconds)
    stopping.cancel()
    return stopping.done() and not stopping.cancelled() and stopping.exception() is None


async def publish(producer: AIOKafkaProducer, prefix: str, stored: Sequence[Stored]) -> None:
    """Send in order and wait for every acknowledgement. Raises `RelayLost`, or a `KafkaError`."""
    try:
        async with asyncio.timeout(ACK_SECONDS):
            sent = [
                await producer.send(
                    prefix + event.topic,
                    key=str(event.lead_id).encode(),
                    value=None if event.type == CardErased.type else event.body.encode(),
                    headers=to_headers(event),
                    partition=partition_of(event.lead_id),
                )
                for event in _newest_cards_only(stored)
            ]
            await asyncio.gather(*sent)
    except TimeoutError as error:
        raise RelayLost from error


class KafkaRelay(LogReader):
    """Publishes a service's own log."""

    reader = "relay"
    lock = 7801
    batch = 2000
    passing = (KafkaError, RelayLost)

    def __init__(self, runtime: Runtime[Any], bootstrap: str) -> None:
        super().__init__(runtime, [runtime.service.name])
        self.bootstrap = bootstrap
        self.prefix = runtime.settings.kafka_prefix
        self._producer: AIOKafkaProducer | None = None

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        topics = [topic for topic in Topic if self.service in SPEAKERS[topic]]
        await ensure_topics(self.bootstrap, self.prefix, topics)
        async with producing(self.bootstrap) as self._producer:
            yield

    async def hand_on(self, connection: Connection, stored: Sequence[Stored], drained_at: datetime | None) -> None:
        metrics.RELAY_OLDEST.labels(self.service).set(_age(stored[0].event_id, self.clock.now()))
        await self._publish(stored)
        await self.seal(connection, stored, drained_at)
        metrics.RELAY_PUBLISHED.labels(self.service).inc(len(stored))

    def looked(self, found: int, drained_at: datetime | None) -> None:
        if not found:
            metrics.RELAY_OLDEST.labels(self.service).set(0)

    async def _publish(self, stored: Sequence[Stored]) -> None:
        assert self._producer is not None
        await publish(self._producer, self.prefix, stored)


def _age(event_id: UUID, now: datetime) -> float:
    """Seconds since the event was recorded: a UUIDv7 begins with its milliseconds."""
    return max(0.0, now.timestamp() - (event_id.int >> 80) / 1000)


def _newest_cards_only(stored: Sequence[Stored]) -> list[Stored]:
    """A card is read as it is now, so two rows of one lead would carry the same card twice."""
    cards = {(event.lead_id, event.seq): event for event in reversed(stored) if event.topic == Topic.CARD}
    return [event for event in stored if event.topic != Topic.CARD or cards[event.lead_id, event.seq] is event]
