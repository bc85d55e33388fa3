"""Leads on their way to sales, as handover hears of them, and a handover service to hear it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import msgspec

from services.handover.app import service
from services.handover.desk import Desk
from services.handover.settings import HandoverSettings
from shared.bus.progress import MARGIN
from shared.clock import Clock, uuid7
from shared.events.capture import ActivityRecorded, CardChanged, CardErased, ContactPoint
from shared.events.codec import Stored, encode_attributes, encode_body
from shared.events.envelope import Attributes, Event
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged, TopReason
from shared.events.topics import Topic
from shared.service import Runtime
from tests.support.set_clock import SetClock

KEY = "the-operators-key"
_places = count(1)


@dataclass
class Told:
    """What the other services say of one lead: each call answers events in the order they were said."""

    clock: Clock
    name: str = "Mara Lindqvist"
    company: str = "Norrvik Logistics"
    email: str = "mara@norrvik.example"
    phone: str = "+46701740642"
    product: str = ""
    test: bool = False
    lead_id: UUID = field(default_factory=uuid7)
    stage: str | None = None
    cycle: int = 1
    card_version: int = 0
    seqs: dict[Topic, int] = field(default_factory=dict[Topic, int])

    def card(self, **changes: Any) -> list[Stored]:
        self.card_version += 1
        points = [ContactPoint("email", self.email), ContactPoint("phone", self.phone)]
        return [
            self.stored(
                CardChanged(
                    version=self.card_version,
                    **{
                        "name": self.name,
                        "company": self.company,
                        "contact_points": [point for point in points if point.value],
                        **changes,
                    },
                ),
                seq=self.card_version,
            )
        ]

    def erased(self, erasure_id: str = "erasure") -> list[Stored]:
        self.card_version += 1
        return [self.stored(CardErased(erasure_id=erasure_id), seq=self.card_version)]

    def moved(
        self, to: str, reason: str, *, seq: int | None = None, history: bool = False, **said: Any
    ) -> list[Stored]:
        seq = self._next(Topic.STAGE) if seq is None else seq
        self.seqs[Topic.STAGE] = seq
        event = StageChanged(from_=self.stage, to=to, seq=seq, cycle=self.cycle, reason=reason, **said)
        self.stage = to
        return [self.stored(event, seq=seq, history=history)]

    def born(self, **changes: Any) -> list[Stored]:
        return self.card(**changes) + self.moved("captured", "first_interest")

    def did(self, activity: str, *, history: bool = False, time: datetime | None = None, **said: Any) -> list[Stored]:
        event = ActivityRecorded(activity=activity, **said)
        return [self.stored(event, seq=self._next(Topic.ACTIVITY), history=history, time=time)]

    def scored(self, score: float, temperature: str) -> list[Stored]:
        event = ScoreChanged(
            score=score, fit=0.0, engagement=score, grade="", temperature=temperature, cycle=self.cycle, rules_version=1
        )
        return [self.stored(event, seq=self._next(Topic.SCORE))]

    def asked_for_a_demo(self, score: float = 57.0, temperature: str = "hot") -> list[Stored]:
        """From the first click to sales."""
        return [
            *self.born(),
            *self.did("demo_requested"),
            *self.moved("registered", "contact_valid", asked_for="demo_requested"),
            *self.moved(
                "sql",
                "demo_requested",
                asked_for="demo_requested",
                score=score,
                temperature=temperature,
                top_reasons=[TopReason("demo", 40.0, "Asked for a demo")],
            ),
        ]

    def became_sql(self, score: float, temperature: str, *, history: bool = False) -> list[Stored]:
        """The way to sales by score."""
        born = self.born()
        return [
            *born,
            *self.moved("registered", "contact_valid", history=history),
            *self.moved("sql", "score_reached", score=score, temperature=temperature, history=history),
        ]

    def stored(
        self,
        event: Event,
        *,
        seq: int,
        history: bool = False,
        time: datetime | None = None,
        recorded: datetime | None = None,
    ) -> Stored:
        now = self.clock.now()
        attributes = Attributes(
            source="/leadline/test",
            time=time or now,
            recordedtime=recorded or now,
            site="demo",
            product=self.product,
            test=self.test,
            history=history,
            cardversion=self.card_version,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
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

    def _next(self, topic: Topic) -> int:
        self.seqs[topic] = self.seqs.get(topic, 0) + 1
        return self.seqs[topic]


def handover(dsn: str, clock: Clock | None = None, **settings: Any) -> Runtime[Any]:
    given = {"database_url": dsn, "api_key": KEY, **settings}
    return Runtime(service, HandoverSettings(**given), clock)


async def hear(runtime: Runtime[Any], *events: Sequence[Stored]) -> None:
    await runtime.consumer.take([event for some in events for event in some])


def client(runtime: Runtime[Any]) -> httpx.AsyncClient:
    """The service's API as an operator reaches it, without a network between."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=runtime.app(("api",))),
        base_url="http://handover.test",
        headers={"Authorization": f"Bearer {KEY}"},
    )


async def add_rep(api: httpx.AsyncClient, name: str, **given: Any) -> str:
    """A rep by name; answers the id."""
    rep = {"name": name, "email": f"{name.lower().replace(' ', '.')}@sales.example", **given}
    answer = await api.post("/v1/reps", json=rep)
    assert answer.status_code == 201, answer.text
    rep_id: str = answer.json()["rep_id"]
    return rep_id


async def offer_all(runtime: Runtime[Any]) -> int:
    """Let the desk work until it finds nothing more; answers how often it found something."""
    desk = runtime.attached.setdefault("test desk", Desk(runtime))
    turns = 0
    while await desk.work():
        turns += 1
    return turns


async def pass_time(runtime: Runtime[Any], length: timedelta) -> None:
    """Move the clock, then fire what is due and offer what waits."""
    clock = runtime.clock
    assert isinstance(clock, SetClock)
    clock.advance(length)
    runtime.progress.all_heard(clock.now() + MARGIN)
    while await runtime.timers.fire():
        pass
    await offer_all(runtime)


async def said(runtime: Runtime[Any], lead_id: UUID | None = None) -> list[tuple[str, dict[str, Any]]]:
    """What handover has said, by the last words of its types, in order."""
    async with runtime.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT type, body FROM bus.handover_log WHERE $1::uuid IS NULL OR lead_id = $1 ORDER BY event_id", lead_id
        )
    return [(row["type"].split(".", 2)[2].removesuffix(".v1"), msgspec.json.decode(row["body"])) for row in rows]


async def moves(runtime: Runtime[Any], lead_id: UUID) -> list[tuple[str, str]]:
    """The stages handover brought a lead to, each with its reason."""
    return [(body["to"], body["reason"]) for kind, body in await said(runtime, lead_id) if kind == "stage.changed"]


async def feed_rows(runtime: Runtime[Any]) -> list[tuple[int, dict[str, Any]]]:
    async with runtime.database.connection() as connection:
        rows = await connection.fetch("SELECT pos, event FROM handover.feed ORDER BY pos")
    return [(row["pos"], msgspec.json.decode(row["event"])) for row in rows]
