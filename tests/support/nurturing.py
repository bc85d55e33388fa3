"""Leads as nurture hears of them, and a nurture service with its sender to hear it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from services.nurture.app import mailing, service
from services.nurture.domain.nurtured import Nurtured
from services.nurture.mailing import Mailing
from services.nurture.settings import NurtureSettings
from shared.bus.progress import MARGIN
from shared.clock import Clock, uuid7
from shared.events.capture import ActivityRecorded, CardChanged, CardErased, Consent, ContactPoint
from shared.events.codec import Stored, decode, encode_attributes, encode_body
from shared.events.envelope import Attributes, Envelope, Event
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.events.topics import Topic
from shared.service import Runtime
from tests.support.set_clock import SetClock

KEY = "the-operators-key"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_places = count(1)


@dataclass
class Told:
    """What the other services say of one lead: each call answers events in the order they were said."""

    clock: Clock
    email: str = "mara@norrvik.example"
    name: str = "Mara Lindqvist"
    test: bool = False
    lead_id: UUID = field(default_factory=uuid7)
    stage: str | None = None
    cycle: int = 1
    card_version: int = 0
    seqs: dict[Topic, int] = field(default_factory=dict[Topic, int])

    def card(
        self, *, consent: bool | None = True, at: datetime | None = None, history: bool = False, **more: Any
    ) -> list[Stored]:
        """`consent` for marketing, given `at`; None: the card does not speak of it."""
        self.card_version += 1
        said = {} if consent is None else {"marketing": Consent(granted=consent, at=at or self.clock.now())}
        card = CardChanged(
            version=self.card_version,
            name=self.name,
            contact_points=[ContactPoint("email", self.email)] if self.email else [],
            **{"consent": said, **more},
        )
        return [self._stored(card, self.card_version, history)]

    def moved(self, to: str, reason: str = "manual", *, history: bool = False, **said: Any) -> list[Stored]:
        seq = self._next(Topic.STAGE)
        event = StageChanged(from_=self.stage, to=to, seq=seq, cycle=self.cycle, reason=reason, **said)
        self.stage = to
        return [self._stored(event, seq, history)]

    def registered(self, *, consent: bool | None = True, history: bool = False, **said: Any) -> list[Stored]:
        """From nothing to the stage in which journeys begin."""
        return [
            *self.card(consent=consent, history=history),
            *self.moved("captured", "first_interest", history=history),
            *self.moved("registered", "no_registration_needed", history=history, **said),
        ]

    def did(self, activity: str, *, history: bool = False, **said: Any) -> list[Stored]:
        return [self._stored(ActivityRecorded(activity=activity, **said), self._next(Topic.ACTIVITY), history)]

    def scored(self, score: float, temperature: str) -> list[Stored]:
        event = ScoreChanged(
            score=score, fit=0, engagement=score, grade="", temperature=temperature, cycle=1, rules_version=1
        )
        return [self._stored(event, self._next(Topic.SCORE), False)]

    def erased(self, erasure_id: str = "erasure") -> list[Stored]:
        self.card_version += 1
        return [self._stored(CardErased(erasure_id=erasure_id), self.card_version, False)]

    def _next(self, topic: Topic) -> int:
        self.seqs[topic] = self.seqs.get(topic, 0) + 1
        return self.seqs[topic]

    def _stored(self, event: Event, seq: int, history: bool) -> Stored:
        now = self.clock.now()
        attributes = Attributes(
            source="/leadline/test",
            time=now,
            recordedtime=now,
            site="demo",
            test=self.test,
            history=history,
            cardversion=self.card_version,
            traceparent=TRACE,
        )
        return Stored(
            place=("test", 0, next(_places)),
            event_id=uuid7(),
            topic=type(event).topic,
            lead_id=self.lead_id,
            seq=seq,
            type=type(event).type,
            attributes=encode_attributes(attributes),
            body=encode_body(event),
        )


@dataclass
class Nurture:
    """A nurture service whose parts move when the test says so."""

    runtime: Runtime[Nurtured]
    clock: SetClock
    sender: Mailing

    async def hear(self, *events: Sequence[Stored]) -> None:
        await self.runtime.consumer.take([event for some in events for event in some])

    async def work(self, *, after: timedelta = timedelta(0)) -> int:
        """Let time pass, then do all that is due; answers how many mails were handed over."""
        await self.fire(after=after)
        sent = 0
        while more := await self.sender.send_due():
            sent += more
        await self.sender.tidy()
        return sent

    async def fire(self, *, after: timedelta = timedelta(0)) -> None:
        """Let time pass and fire the timers that are due: what is planned then can be claimed."""
        self.clock.advance(after)
        self.all_heard()
        while await self.runtime.timers.fire():
            pass

    def all_heard(self) -> None:
        self.runtime.progress.all_heard(self.clock.now() + MARGIN)

    async def touches(self, lead: Told) -> list[tuple[str, str, str]]:
        """(step, state, reason) of the lead's touches, as the API tells them."""
        async with client(self.runtime) as api:
            answer = await api.get(f"/v1/leads/{lead.lead_id}/touches")
        assert answer.status_code == 200, answer.text
        return [(item["step"], item["state"], item["reason"]) for item in answer.json()["items"]]

    async def said(self, lead: Told | None = None) -> list[Envelope[Event]]:
        """What nurture has said, of one lead or of all, in order."""
        async with self.runtime.database.connection() as connection:
            rows = await connection.fetch("SELECT * FROM bus.nurture_log ORDER BY pos")
        stored = [
            Stored(
                place=("nurture", row["lane"], row["pos"]),
                **{name: row[name] for name in ("event_id", "topic", "lead_id", "seq", "type", "attributes", "body")},
            )
            for row in rows
            if lead is None or row["lead_id"] == lead.lead_id
        ]
        return [decode(one) for one in stored]

    async def words(self, lead: Told | None = None) -> list[str]:
        """The names of what nurture has said, as `sent`."""
        return [envelope.type.split(".")[-2] for envelope in await self.said(lead)]

    async def value(self, query: str, *arguments: object) -> Any:
        async with self.runtime.database.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def states(self, step: str = "welcome") -> dict[UUID, tuple[str, str]]:
        """State and reason of one step for every lead."""
        async with self.runtime.database.connection() as connection:
            rows = await connection.fetch("SELECT lead_id, state, reason FROM nurture.touch WHERE step = $1", step)
        return {row["lead_id"]: (row["state"], row["reason"]) for row in rows}

    async def until(self, query: str) -> None:
        """Wait until the query answers true."""
        async with asyncio.timeout(60):
            while not await self.value(query):
                await asyncio.sleep(0.01)

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.runtime.database.connection() as connection:
            await connection.execute(statement, *arguments)


def nurture(dsn: str, clock: SetClock, data_dir: Path, **settings: Any) -> Nurture:
    given = {"database_url": dsn, "api_key": KEY, "data_dir": data_dir, **settings}
    runtime: Runtime[Nurtured] = Runtime(service, NurtureSettings(**given), clock)
    return Nurture(runtime, clock, mailing(runtime))


def client(runtime: Runtime[Any], **more: Any) -> httpx.AsyncClient:
    """The service's API as an operator reaches it, without a network between."""
    given: dict[str, Any] = {
        "transport": httpx.ASGITransport(app=runtime.app(("api",))),
        "base_url": "http://127.0.0.1:8003",
        "headers": {"Authorization": f"Bearer {KEY}"},
    }
    return httpx.AsyncClient(**given | more)


def unsubscribe_path(mail: EmailMessage) -> str:
    """The path of the link that a mail program would post to."""
    return httpx.URL(str(mail["List-Unsubscribe"]).strip("<>")).path
