"""Hearing from Kafka: a bounded queue per partition, one transaction per batch, offsets committed after it."""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from shared import metrics
from shared.bus.kafka import PARTITIONS, ensure_topics
from shared.bus.progress import Progress
from shared.clock import EPOCH
from shared.consumer import Consumer, keep_unreadable
from shared.database import is_transient
from shared.events.codec import Stored, Undecodable, from_record
from shared.events.topics import LANES

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord

BATCH = 500
PAUSE_AT = 2000
RESUME_AT = 500
COMMIT_SECONDS = 1.0
DRAIN_SECONDS = 20
STUCK_SECONDS = 60

logger = structlog.get_logger("bus")


class KafkaHearer(ConsumerRebalanceListener):
    """One member of a service's consumer group."""

    def __init__(self, service: str, bootstrap: str, prefix: str, consumer: Consumer[Any], progress: Progress) -> None:
        self.service = service
        self.prefix = prefix
        self.bootstrap = bootstrap
        self.consumer = consumer
        self.progress = progress
        self.topics = sorted(consumer.topics)
        self._kafka: AIOKafkaConsumer | None = None
        self._queues: dict[TopicPartition, deque[ConsumerRecord[bytes, bytes]]] = {}
        self._paused: set[TopicPartition] = set()
        self._done: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._busy = asyncio.Lock()
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await ensure_topics(self.bootstrap, self.prefix, self.topics)
                await self._hear()
            except (KafkaError, OSError, TimeoutError) as error:
                logger.warning("hearing_interrupted", service=self.service, error=type(error).__name__)
            self.progress.ready = False
            await asyncio.sleep(1)

    async def _hear(self) -> None:
        kafka = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=f"{self.prefix}leadline-{self.service}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=10_000,
            heartbeat_interval_ms=3_000,
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=120_000,
            max_partition_fetch_bytes=1_048_576,
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        kafka.subscribe([self.prefix + topic for topic in self.topics], listener=self)
        try:
            await asyncio.wait_for(kafka.start(), 60)
            self._kafka = kafka
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch(kafka))
                group.create_task(self._work(kafka))
        except* (KafkaError, OSError, TimeoutError) as errors:
            raise errors.exceptions[0] from errors
        finally:
            self._kafka = None
            try:
                await asyncio.wait_for(kafka.stop(), 10)
            except (TimeoutError, KafkaError):
                logger.warning("consumer_abandoned", service=self.service)
            self._queues.clear()
            self._done.clear()

    async def _fetch(self, kafka: AIOKafkaConsumer) -> None:
        while True:
            # Never wrapped in wait_for: a cancelled getmany would switch off the client's own poll watchdog.
            got = await kafka.getmany(timeout_ms=200, max_records=BATCH)
            for partition, records in got.items():
                queue = self._queues.setdefault(partition, deque())
                queue.extend(records)
                if len(queue) > PAUSE_AT:
                    kafka.pause(partition)
                    self._paused.add(partition)
            if got:
                self._arrived.set()
            self.progress.ready = bool(kafka.assignment())
            self._mark(kafka)

    async def _work(self, kafka: AIOKafkaConsumer) -> None:
        pause, retried = 0.05, time.monotonic()
        while True:
            try:
                async with self._busy:
                    done = await self._turn(kafka)
                pause = 0.05
                self.progress.alive()
                if time.monotonic() - retried > 1:
                    retried = time.monotonic()
                    await self.consumer.retry_due()
            except Exception as error:
                if not is_transient(error) or isinstance(error, KafkaError):
                    raise
                logger.warning("batch_waits", service=self.service, error=type(error).__name__)
                self.progress.alive()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                continue
            if not done:
                self._arrived.clear()
                try:
                    await asyncio.wait_for(self._arrived.wait(), COMMIT_SECONDS)
                except TimeoutError:
                    await self._commit(kafka)

    async def _turn(self, kafka: AIOKafkaConsumer) -> int:
        """Apply one batch over all partitions; it stays queued until its transaction has ended."""
        taken = self._next_batch()
        if taken:
            stored, unreadable = _stored([record for _, record in taken], self.prefix)
            for record, reason in unreadable:
                await self._keep_unreadable(record, reason)
            await self.consumer.take(stored)
            metrics.CONSUMER_BATCH.labels(self.service).observe(len(taken))
            for partition, record in taken:
                self._queues[partition].popleft()
                self._done[partition] = record.offset + 1
        for partition in [held for held in self._paused if len(self._queues.get(held, ())) < RESUME_AT]:
            self._paused.discard(partition)
            if partition in kafka.assignment():
                kafka.resume(partition)
        if time.monotonic() - self._committed_at > COMMIT_SECONDS:
            await self._commit(kafka)
        return len(taken)

    def _next_batch(self) -> list[tuple[TopicPartition, ConsumerRecord[bytes, bytes]]]:
        """The oldest records of all queues in equal parts, in order within each."""
        waiting = [partition for partition, queue in self._queues.items() if queue]
        share = max(1, BATCH // len(waiting)) if waiting else 0
        return [(partition, record) for partition in waiting for record in list(self._queues[partition])[:share]]

    async def _keep_unreadable(self, record: ConsumerRecord[bytes, bytes], reason: str) -> None:
        async with self.consumer.leads.database.transaction() as connection:
            await keep_unreadable(
                connection, self.service, record.topic, (record.partition, record.offset), reason,
                repr(dict(record.headers)), record.value, self.consumer.leads.clock.now(),
            )  # fmt: skip
        metrics.UNDECODABLE.labels(self.service, record.topic).inc()

    async def _commit(self, kafka: AIOKafkaConsumer) -> None:
        """Offsets are only a hint where to go on: every effect is guarded by the lead's own numbers."""
        mine = kafka.assignment()
        done = {partition: offset for partition, offset in self._done.items() if partition in mine}
        self._committed_at = time.monotonic()
        if not done:
            return
        try:
            await asyncio.wait_for(kafka.commit(done), 5)
            self._done = {partition: at for partition, at in self._done.items() if done.get(partition) != at}
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            logger.info("offsets_not_committed", service=self.service, error=type(error).__name__)

    def _mark(self, kafka: AIOKafkaConsumer) -> None:
        """Say up to when everything is heard: per partition number the least of its topics."""
        reached: dict[int, datetime] = {}
        lag = 0
        for partition in kafka.assignment():
            polled = kafka.last_poll_timestamp(partition)
            highwater = kafka.highwater(partition)
            waiting = len(self._queues.get(partition, ()))
            position = self._position(kafka, partition)
            behind = waiting + max((highwater or 0) - position, 0)
            lag += behind
            heard = datetime.fromtimestamp(polled / 1000, UTC) if polled and not behind else _NEVER
            number = partition.partition
            reached[number] = min(heard, reached.get(number, heard))
        self.progress.lag = lag
        metrics.CONSUMER_LAG.labels(self.service).set(lag)
        lanes = {lane: reached[lane % PARTITIONS] for lane in range(LANES) if lane % PARTITIONS in reached}
        for lane in list(self.progress.marks):
            if lane not in lanes:
                del self.progress.marks[lane]
        for lane, moment in lanes.items():
            if moment is not _NEVER:
                self.progress.heard([lane], moment)

    @staticmethod
    def _position(kafka: AIOKafkaConsumer, partition: TopicPartition) -> int:
        # `position()` would wait for the broker; what the client knows now is enough here.
        state = kafka._subscription.subscription  # pyright: ignore[reportPrivateUsage]
        assigned = state.assignment.state_value(partition) if state and state.assignment else None
        return assigned.position if assigned is not None and assigned.has_valid_position else 0

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Let the transaction under way end, forget what was queued, and tell Kafka how far we came."""
        try:
            await asyncio.wait_for(self._busy.acquire(), DRAIN_SECONDS)
        except TimeoutError:
            return
        try:
            for partition in revoked:
                self._queues.pop(partition, None)
                self._paused.discard(partition)
            if self._kafka is not None:
                await self._commit(self._kafka)
            for partition in revoked:
                self._done.pop(partition, None)
        finally:
            self._busy.release()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        logger.info("partitions_assigned", service=self.service, count=len(assigned))


_NEVER = EPOCH


def _stored(
    records: Sequence[ConsumerRecord[bytes, bytes]], prefix: str
) -> tuple[list[Stored], list[tuple[ConsumerRecord[bytes, bytes], str]]]:
    stored: list[Stored] = []
    unreadable: list[tuple[ConsumerRecord[bytes, bytes], str]] = []
    for record in records:
        try:
            place = (record.topic.removeprefix(prefix), record.partition, record.offset)
            stored.append(from_record(place, record.headers, record.value))
        except Undecodable as error:
            unreadable.append((record, str(error)))
    return stored, unreadable
