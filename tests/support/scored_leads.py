"""Leads as scoring hears of them, and a scoring service to hear it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from services.scoring.app import service
from shared.clock import Clock, uuid7
from shared.events.capture import ActivityRecorded, CardChanged, CardErased, ContactPoint
from shared.events.codec import Stored, decode, encode_attributes, encode_body
from shared.events.envelope import Attributes, Envelope, Event
from shared.events.stage import StageChanged
from shared.events.topics import LANES, Topic
from shared.service import Runtime
from shared.settings import Settings

KEY = "the-operators-key"
_places = count(1)


@dataclass
class Heard:
    """What the others say of one lead: each call answers the event, in the order of its topic."""

    clock: Clock
    email: str = "mara@norrvik.example"
    lead_id: UUID = field(default_factory=uuid7)
    site: str = "demo"
    test: bool = False
    stage: str | None = None
    cycle: int = 1
    card_version: int = 0
    seqs: dict[Topic, int] = field(default_factory=dict[Topic, int])

    def card(self, *, history: bool = False, time: datetime | None = None, **changes: Any) -> Stored:
        self.card_version += 1
        points = [ContactPoint("email", self.email)] if self.email else []
        known = {"name": "Mara Lindqvist", "contact_points": points, **changes}
        event = CardChanged(version=self.card_version, **known)
        return self.stored(event, seq=self.card_version, history=history, time=time)

    def erased(self, erasure_id: str = "an-erasure") -> Stored:
        self.card_version += 1
        return self.stored(CardErased(erasure_id=erasure_id), seq=self.card_version)

    def did(self, activity: str, *, history: bool = False, time: datetime | None = None, **said: Any) -> Stored:
        event = ActivityRecorded(activity=activity, **said)
        return self.stored(event, seq=self.next(Topic.ACTIVITY), history=history, time=time)

    def told(self, event: Event, *, time: datetime | None = None) -> Stored:
        """Something nurture or handover says."""
        return self.stored(event, seq=self.next(event.topic), time=time)

    def moved(
        self, to: str, reason: str, *, history: bool = False, time: datetime | None = None, cause: str = "", **said: Any
    ) -> Stored:
        """A stage event of another service. Where scoring moved the lead itself, call `follow` before."""
        if (self.stage, to) == ("customer", "registered"):
            self.cycle += 1
        seq = self.next(Topic.STAGE)
        event = StageChanged(from_=self.stage, to=to, seq=seq, cycle=self.cycle, reason=reason, **said)
        self.stage = to
        return self.stored(event, seq=seq, history=history, time=time, cause=cause)

    def born(self, reason: str = "contact_valid", *, history: bool = False, **said: Any) -> list[Stored]:
        """Captured and registered."""
        return [
            self.moved("captured", "first_interest", history=history),
            self.moved("registered", reason, history=history, **said),
        ]

    def follow(self, *stages: str) -> None:
        """Scoring itself has said these stages."""
        for stage in stages:
            self.next(Topic.STAGE)
            self.stage = stage

    def next(self, topic: Topic) -> int:
        self.seqs[topic] = self.seqs.get(topic, 0) + 1
        return self.seqs[topic]

    def stored(
        self, event: Event, *, seq: int, history: bool = False, time: datetime | None = None, cause: str = ""
    ) -> Stored:
        now = self.clock.now()
        attributes = Attributes(
            source="/leadline/test",
            time=time or now,
            recordedtime=now,
            site=self.site,
            test=self.test,
            history=history,
            cardversion=self.card_version,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            causationid=cause,
        )
        return Stored(
            place=("test", 0, next(_places)),
            event_id=uuid7(),
            topic=event.topic,
            lead_id=self.lead_id,
            seq=seq,
            type=type(event).type,
            attributes=encode_attributes(attributes),
            body=encode_body(event),
        )


def scoring(dsn: str, clock: Clock | None = None) -> Runtime[Any]:
    return Runtime(service, Settings(database_url=dsn, api_key=KEY), clock)  # pyright: ignore[reportCallIssue]


async def hear(runtime: Runtime[Any], *events: Stored | Sequence[Stored]) -> None:
    """One batch."""
    flat = [event for some in events for event in ([some] if isinstance(some, Stored) else some)]
    await runtime.consumer.take(flat)


async def fire(runtime: Runtime[Any]) -> int:
    """Fire what is due, everything recorded so far having been heard."""
    runtime.progress.marks.update(dict.fromkeys(range(LANES), runtime.clock.now()))
    return await runtime.timers.fire()


async def said(runtime: Runtime[Any], lead_id: UUID) -> list[Envelope[Event]]:
    """What scoring has said of a lead, in order."""
    async with runtime.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM bus.scoring_log WHERE lead_id = $1 ORDER BY pos", lead_id)
    return [
        decode(
            Stored(
                place=("scoring", row["lane"], row["pos"]),
                **{name: row[name] for name in ("event_id", "topic", "lead_id", "seq", "type", "attributes", "body")},
            )
        )
        for row in rows
    ]


async def stages_said(runtime: Runtime[Any], lead_id: UUID) -> list[tuple[str, str]]:
    """The stages that scoring moved a lead to, each with its reason."""
    return [(e.data.to, e.data.reason) for e in await said(runtime, lead_id) if isinstance(e.data, StageChanged)]


async def fetch(runtime: Runtime[Any], query: str, *values: object) -> list[Any]:
    async with runtime.database.connection() as connection:
        return list(await connection.fetch(query, *values))


async def net_entries(runtime: Runtime[Any], lead_id: UUID) -> list[tuple[str, int, str, datetime, int]]:
    """The entries that count: kind, cycle, rule, when and tenths."""
    rows = await fetch(
        runtime,
        """SELECT kind, cycle, rule, at, tenths FROM scoring.entry e WHERE lead_id = $1 AND retracts IS NULL
           AND NOT EXISTS (SELECT 1 FROM scoring.entry b WHERE b.lead_id = e.lead_id AND b.retracts = e.id)
           ORDER BY at, rule, tenths""",
        lead_id,
    )
    return [tuple(row) for row in rows]


def client(runtime: Runtime[Any]) -> httpx.AsyncClient:
    """The service's API as an operator reaches it, without a network between."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=runtime.app(("api",))),
        base_url="http://scoring.test",
        headers={"Authorization": f"Bearer {KEY}"},
    )
