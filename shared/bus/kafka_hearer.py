"""Hearing from Kafka: one transaction per batch, offsets committed after it. The client reads ahead by itself."""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from shared import metrics
from shared.bus.kafka import PARTITIONS, RETRY_MS, ended, ensure_topics
from shared.clock import EPOCH
from shared.database import is_transient
from shared.events.codec import Stored, Undecodable, from_record
from shared.events.topics import LANES
from shared.patience import patiently

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord

    from shared.service import Runtime

BATCH = 500
# What the client reads ahead per partition: little, so that a batch is made of many partitions and topics.
READ_AHEAD_BYTES = 65_536
# How long a request for more stays at Kafka when there is nothing. One is under way at a time, and it leaves out what
# was read ahead: while events wait to be worked it must not wait long for topics in which nothing happens.
BUSY_WAIT_MS, IDLE_WAIT_MS = 30, 500
COMMIT_SECONDS, COMMITTED_SECONDS = 1.0, 5.0
# Topics that were gone when the group met, and are there again, are noticed after this long.
METADATA_SECONDS = 10
START_SECONDS, STOP_SECONDS = 30, 10
HEARING = "hear"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
# A client that is well is answered twice a second for each of its partitions, also where there is nothing new.
DEAF_SECONDS = 60.0
# One that was not answered for so long is cut off from Kafka: that is waited out. A new client would find
# the old one still in its group, which could not say that it left, and would wait for its end.
ANSWERED_SECONDS = 2.0
# One that reads but finds nobody to commit to, as after two deaths of a broker in a row, has lost its coordinator for
# good. A broker that starts takes less.
UNCOMMITTED_SECONDS = 20.0

logger = structlog.get_logger("bus")


class Deaf(Exception):
    """The client is not answered any more, which looks like a topic where nothing happens: a new one is needed.

    Should the broker be away, a new one costs nothing: it waits for the broker as the old one did.
    """


class KafkaHearer:
    """One member of a service's consumer group."""

    def __init__(self, runtime: Runtime[Any], bootstrap: str) -> None:
        self.service = runtime.service.name
        self.prefix = runtime.settings.kafka_prefix
        self.bootstrap = bootstrap
        self.consumer = runtime.consumer
        self.progress = runtime.progress
        self.topics = sorted(self.consumer.topics)
        # What it says itself a service knows already.
        self._own = ("ce_source", f"/leadline/{self.service}".encode())
        self._done: dict[TopicPartition, int] = {}
        self._answers: dict[TopicPartition, tuple[int | None, float]] = {}
        self._committed_at = self._committed_well = 0.0
        self._pause = FIRST_PAUSE

    async def run(self) -> None:
        await patiently(self._hear, "hearing_interrupted", self.service, KafkaError, Deaf)

    async def _hear(self) -> float:
        self.progress.rest(HEARING)
        await ensure_topics(self.bootstrap, self.prefix, self.topics)
        kafka = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=f"{self.prefix}leadline-{self.service}",
            enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed",
            # Also how long a connection that has silently died is listened to.
            request_timeout_ms=15_000, retry_backoff_ms=RETRY_MS,
            # The least that brokers allow unless told otherwise: so long its group waits for a member that was killed.
            session_timeout_ms=6_000, heartbeat_interval_ms=1_500, rebalance_timeout_ms=60_000,
            max_poll_interval_ms=120_000, max_partition_fetch_bytes=READ_AHEAD_BYTES,
            metadata_max_age_ms=METADATA_SECONDS * 1000, partition_assignment_strategy=[RangePartitionAssignor],
        )  # fmt: skip
        kafka.subscribe([self.prefix + topic for topic in self.topics])
        try:
            async with asyncio.timeout(START_SECONDS):
                await kafka.start()
            self.progress.alive(HEARING)
            self._committed_well = time.monotonic()
            while True:
                await self._turn(kafka)
                self._expect_answers(kafka)
        finally:
            self.progress.ready = False
            self.progress.alive(HEARING)
            if not await ended(kafka, STOP_SECONDS):
                logger.warning("consumer_abandoned", service=self.service)
                await kafka._client.close()  # pyright: ignore[reportPrivateUsage]
            self._done.clear()
            self._answers.clear()

    async def _turn(self, kafka: AIOKafkaConsumer) -> None:
        # Never wrapped in wait_for: a cancelled getmany would switch off the client's own poll watchdog.
        got = await kafka.getmany(timeout_ms=200, max_records=BATCH)
        mine = {partition: records for partition, records in got.items() if partition in kafka.assignment()}
        try:
            await self._apply(mine)
            self._pause = FIRST_PAUSE
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("batch_waits", service=self.service, error=type(error).__name__)
            # Read again later. We go on asking for records meanwhile: who does not is put out of the group.
            for partition, records in mine.items():
                if partition in kafka.assignment():
                    kafka.seek(partition, records[0].offset)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if time.monotonic() - self._committed_at > COMMIT_SECONDS:
            await self._commit(kafka)
        self.progress.alive(HEARING)
        self.progress.ready = bool(kafka.assignment())
        self._mark(kafka)

    async def _apply(self, got: Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]) -> None:
        stored = [event for records in got.values() for event in await self._readable(records)]
        if stored:
            await self.consumer.take(stored)
            metrics.CONSUMER_BATCH.labels(self.service).observe(sum(map(len, got.values())))
        self._done |= {partition: records[-1].offset + 1 for partition, records in got.items()}

    async def _readable(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[Stored]:
        stored: list[Stored] = []
        for record in records:
            if self._own in record.headers:
                continue
            place = (record.topic.removeprefix(self.prefix), record.partition, record.offset)
            try:
                stored.append(from_record(place, record.headers, record.value))
            except Undecodable as error:
                await self.consumer.put_aside(place, str(error), repr(dict(record.headers)), record.value)
        return stored

    async def _commit(self, kafka: AIOKafkaConsumer) -> None:
        """Offsets are only a hint where to go on: every effect is guarded by the lead's own numbers. May raise `Deaf`.

        What lies beyond where we now stand was heard of topics that are no more: somebody has made them anew.
        """
        mine = kafka.assignment()
        done = {at: offset for at, offset in self._done.items() if at in mine and offset <= self._position(kafka, at)}
        if not done or not self._is_answered():
            self._committed_well = time.monotonic()
            return
        try:
            # Not wait_for: a stop that comes just as it is through would be lost in it (until Python 3.12).
            async with asyncio.timeout(COMMITTED_SECONDS):
                await kafka.commit(done)
            self._committed_well = time.monotonic()
            self._done = {partition: at for partition, at in self._done.items() if done.get(partition) != at}
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            logger.info("offsets_not_committed", service=self.service, error=type(error).__name__)
            if time.monotonic() - self._committed_well > UNCOMMITTED_SECONDS:
                raise Deaf from error
        self._committed_at = time.monotonic()

    def _is_answered(self) -> bool:
        """Whether Kafka has answered lately; while it has not, nobody waits for it to take offsets."""
        return any(at and time.time() - at / 1000 < ANSWERED_SECONDS for at, _ in self._answers.values())

    def _expect_answers(self, kafka: AIOKafkaConsumer) -> None:
        """Raises `Deaf` when a partition has had none for long; one that has just been assigned begins now."""
        now = time.monotonic()
        before, self._answers = self._answers, {}
        for partition in kafka.assignment():
            answered = kafka.last_poll_timestamp(partition)
            noted = before.get(partition)
            self._answers[partition] = noted if noted is not None and noted[0] == answered else (answered, now)
        if any(now - since > DEAF_SECONDS for _, since in self._answers.values()):
            raise Deaf

    def _mark(self, kafka: AIOKafkaConsumer) -> None:
        """Say up to when everything is heard: per partition number the least of its topics."""
        reached: dict[int, datetime] = {}
        lag = 0
        for partition in kafka.assignment():
            behind = max((kafka.highwater(partition) or 0) - self._position(kafka, partition), 0)
            lag += behind
            polled = kafka.last_poll_timestamp(partition)
            heard = datetime.fromtimestamp(polled / 1000, UTC) if polled and not behind else EPOCH
            reached[partition.partition] = min(heard, reached.get(partition.partition, heard))
        kafka._fetcher._fetch_max_wait_ms = BUSY_WAIT_MS if lag else IDLE_WAIT_MS  # pyright: ignore
        self.progress.lag = lag
        metrics.CONSUMER_LAG.labels(self.service).set(lag)
        lanes = {lane: reached[lane % PARTITIONS] for lane in range(LANES) if lane % PARTITIONS in reached}
        for lane in self.progress.marks.keys() - lanes.keys():
            del self.progress.marks[lane]
        for lane, moment in lanes.items():
            if moment is not EPOCH:
                self.progress.heard([lane], moment)

    @staticmethod
    def _position(kafka: AIOKafkaConsumer, partition: TopicPartition) -> int:
        # `position()` would wait for the broker; what the client knows now is enough here.
        state = kafka._subscription.subscription  # pyright: ignore[reportPrivateUsage]
        assigned = state.assignment.state_value(partition) if state and state.assignment else None
        return assigned.position if assigned is not None and assigned.has_valid_position else 0
