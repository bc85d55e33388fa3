"""Finding out that a Kafka client has quietly ceased to fetch, which looks like a topic where nothing happens.

A client that is well asks each of its partitions twice a second, and is answered also where there is nothing new. When
no answer has come for long, another client asks: if the broker answers that one all the while, the fault is ours.
"""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

# No answer for so long is odd; a broker that answers others for as long again proves us deaf.
ODD_SECONDS = 30.0
ASK_SECONDS = 10.0


class Deaf(Exception):
    """The broker answers others, but not this client: a new one is needed."""


class Doubt:
    """What one client was answered, by partition: the time that aiokafka notes, and when it was seen to change."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._answers: dict[TopicPartition, tuple[int | None, float]] = {}
        self._others_since: float | None = None
        self._asked = 0.0
        self._asking: asyncio.Task[bool] | None = None

    def is_deaf(self, kafka: AIOKafkaConsumer) -> bool:
        """To be asked again and again."""
        now = time.monotonic()
        silent = self._silent(kafka, now)
        if not silent:
            self._others_since = None
            return False
        if self._asking is not None and self._asking.done():
            self._others_since = (self._others_since or now) if self._asking.result() else None
            self._asking = None
        if self._asking is None and now - self._asked > ODD_SECONDS / 6:
            self._asked = now
            self._asking = asyncio.create_task(_answers_others(self._bootstrap, silent))
        return self._others_since is not None and now - self._others_since > ODD_SECONDS

    def _silent(self, kafka: AIOKafkaConsumer, now: float) -> list[TopicPartition]:
        """The partitions without an answer for an odd time. Those that are new begin now."""
        before, self._answers = self._answers, {}
        for partition in kafka.assignment():
            answered = kafka.last_poll_timestamp(partition)
            noted = before.get(partition)
            self._answers[partition] = noted if noted is not None and noted[0] == answered else (answered, now)
        return [partition for partition, (_, since) in self._answers.items() if now - since > ODD_SECONDS]


async def _answers_others(bootstrap: str, partitions: Collection[TopicPartition]) -> bool:
    """Whether a client that has just been made is told where these partitions end."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            async with AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=5_000) as other:
                await other.end_offsets(partitions)
    except (KafkaError, OSError, TimeoutError):
        return False
    return True
