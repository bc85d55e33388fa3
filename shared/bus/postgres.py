"""Hearing by reading the speakers' logs where they lie: for one machine, all services in one database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import metrics
from shared.bus.reading import LogReader
from shared.events.codec import Stored
from shared.events.topics import SPEAKERS

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime


class PostgresHearer(LogReader):
    """One worker per service."""

    reader = "hear"
    lock = 7800
    batch = 500

    def __init__(self, runtime: Runtime[Any]) -> None:
        self.consumer = runtime.consumer
        speakers = frozenset[str]().union(*(SPEAKERS[topic] for topic in self.consumer.topics))
        # What it says itself a service knows already.
        super().__init__(runtime, speakers - {runtime.service.name})

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.progress.ready = False
            self.progress.marks.clear()

    async def hand_on(self, connection: Connection, stored: Sequence[Stored], drained_at: datetime | None) -> None:
        # The positions move in the transaction of the effects: neither is ever there without the other.
        await self.consumer.take(stored, lambda inner: self.seal(inner, stored, drained_at))
        metrics.CONSUMER_BATCH.labels(self.service).observe(len(stored))

    def looked(self, found: int, drained_at: datetime | None) -> None:
        self.progress.lag = 0 if drained_at else found
        if drained_at:
            self.progress.all_heard(drained_at)
        metrics.CONSUMER_LAG.labels(self.service).set(self.progress.lag)
        self.progress.ready = self.present == self.speakers
