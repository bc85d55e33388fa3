"""A capture service for tests: the real app over a real database, asked as browsers, servers and operators ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from services.capture.app import service
from services.capture.repository import Record
from services.capture.settings import CaptureSettings
from shared.clock import Clock, uuid7
from shared.events.codec import Stored, decode, encode_attributes, encode_body
from shared.events.envelope import Attributes, Envelope, Event
from shared.events.topics import Topic
from shared.service import Runtime

KEY = "the-operators-key"
OPERATOR = {"Authorization": f"Bearer {KEY}"}
SITE = {"X-Site-Key": "pk_demo"}
_places = count(1)


@dataclass
class Capturing:
    """A running capture service, and what a test asks of it."""

    runtime: Runtime[Record]
    client: httpx.AsyncClient

    async def post(self, headers: dict[str, str] = SITE, **body: Any) -> httpx.Response:
        return await self.client.post("/v1/leads", json=body, headers=headers)

    async def submit(self, **body: Any) -> UUID:
        """Post as the operator does; answers the lead's id."""
        answer = await self.post(OPERATOR, **{"site": "demo", **body})
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["lead_id"])

    async def card(self, lead_id: UUID) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/leads/{lead_id}", headers=OPERATOR)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        async with self.runtime.database.connection() as connection:
            return list(await connection.fetch(query, *values))

    async def value(self, query: str, *values: object) -> Any:
        return (await self.fetch(query, *values))[0][0]

    async def said(self, lead_id: UUID | None = None, topic: Topic | None = None) -> list[Envelope[Any]]:
        """The events in the log, in the order of their positions; a card is told only by its version there."""
        rows = await self.fetch("SELECT * FROM bus.capture_log ORDER BY pos")
        wanted = [
            row for row in rows if (not lead_id or row["lead_id"] == lead_id) and (not topic or row["topic"] == topic)
        ]
        return [_envelope(row) for row in wanted]

    async def stages(self, lead_id: UUID) -> list[tuple[str, str]]:
        """(stage, reason) of each stage event."""
        return [(event.data.to, event.data.reason) for event in await self.said(lead_id, Topic.STAGE)]

    async def activities(self, lead_id: UUID) -> list[str]:
        return [event.data.activity for event in await self.said(lead_id, Topic.ACTIVITY)]

    async def hear(self, lead_id: UUID, data: Event, seq: int, **attributes: Any) -> None:
        """Let the service hear an event of another."""
        now = self.runtime.clock.now()
        said = Attributes(source="/test", **{"time": now, "recordedtime": now, **attributes})
        stored = Stored(
            place=("test", 0, next(_places)),
            event_id=uuid7(),
            topic=type(data).topic,
            lead_id=lead_id,
            seq=seq,
            type=type(data).type,
            attributes=encode_attributes(said),
            body=encode_body(data),
        )
        await self.runtime.consumer.take([stored])

    async def fire_timers(self) -> int:
        self.runtime.progress.all_heard(self.runtime.clock.now())
        return await self.runtime.timers.fire()


def _envelope(row: asyncpg.Record) -> Envelope[Any]:
    body = row["body"] or f'{{"version": {row["seq"]}}}'
    place = ("capture", row["lane"], row["pos"])
    names = ("event_id", "topic", "lead_id", "seq", "type", "attributes")
    return decode(Stored(place=place, body=body, **{name: row[name] for name in names}))


@asynccontextmanager
async def capturing(dsn: str, clock: Clock | None = None, **settings: Any) -> AsyncGenerator[Capturing]:
    """The service on that database, with the site `demo`."""
    given = CaptureSettings(database_url=dsn, api_key=KEY, **{"demo_site": True, **settings})
    runtime = Runtime(service, given, clock)
    app = runtime.app(("api",))
    async with runtime.running(("api",)):
        async with asyncio.timeout(60):
            await runtime.prepared.wait()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://capture.test", timeout=30) as client:
            made = Capturing(runtime, client)
            while given.demo_site and await made.value("SELECT count(*) FROM capture.site") < 2:
                await asyncio.sleep(0.005)
            yield made


async def at_once(*posts: Any) -> Sequence[httpx.Response]:
    """The answers to requests that are all under way together, in the order given."""
    return await asyncio.gather(*posts)
