"""Lives of leads as the other services tell them, and an insights service to hear them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from services.insights.app import service
from services.insights.settings import InsightsSettings
from shared.clock import Clock, uuid7
from shared.events.capture import ActivityRecorded, CardChanged, CardErased, ContactPoint, Touch
from shared.events.codec import Stored, encode_attributes, encode_body
from shared.events.envelope import Attributes, Event
from shared.events.stage import StageChanged
from shared.events.topics import COUNTED, Topic
from shared.lifecycle import BIRTHS, EDGES, Stage, move, owner, reasons_for
from shared.server import server
from shared.service import Runtime

KEY = "the-operators-key"
_places = count(1)


@dataclass
class Life:
    """One lead. Each call answers the event it tells, numbered and timed; `at` is the lead's own time."""

    at: datetime
    site: str = "demo"
    source: str = "google"
    channel: str = "search ads"
    campaign: str = "spring"
    product: str = ""
    test: bool = False
    name: str = "Mara Lindqvist"
    email: str = "mara@norrvik.example"
    history: bool = False
    lead_id: UUID = field(default_factory=uuid7)
    stage: Stage | None = None
    before: Stage | None = None
    cycle: int = 0
    version: int = 0
    seqs: dict[Topic, int] = field(default_factory=dict[Topic, int])
    moves: list[StageChanged] = field(default_factory=list[StageChanged])

    def say(self, data: Event, *, at: datetime | None = None, recorded: datetime | None = None) -> Stored:
        topic = data.topic
        if topic in COUNTED or topic is Topic.STAGE:
            self.seqs[topic] = self.seqs.get(topic, 0) + 1
        attributes = Attributes(
            source=f"/leadline/{speaker_of(topic)}",
            time=at or self.at,
            recordedtime=recorded or self.at,
            site=self.site,
            product=self.product,
            test=self.test,
            history=self.history,
            cardversion=self.version,
        )
        return Stored(
            place=("told", 0, next(_places)),
            event_id=uuid7(),
            topic=topic,
            lead_id=self.lead_id,
            seq=self.version if topic is Topic.CARD else self.seqs.get(topic, 0),
            type=data.type,
            attributes=encode_attributes(attributes),
            body=encode_body(data),
        )

    def card(self, **changes: Any) -> Stored:
        self.version += 1
        touch = Touch(channel=self.channel, source=self.source, campaign=self.campaign, at=self.at)
        points = [ContactPoint("email", self.email)] if self.email else []
        given: dict[str, Any] = {"name": self.name, "contact_points": points, "first_touch": touch}
        return self.say(CardChanged(version=self.version, **(given | changes)))

    def erased(self, erasure_id: str = "erasure") -> Stored:
        self.version += 1
        return self.say(CardErased(erasure_id=erasure_id))

    def did(self, activity: str, **said: Any) -> Stored:
        return self.say(ActivityRecorded(activity=activity, **said))

    def moved(self, to: Stage | str, reason: str, **said: Any) -> Stored:
        """One legal step; an illegal one raises."""
        stage = Stage(to)
        change = move(self.stage, self.cycle, stage, reason, owner(self.stage, self.before), before=self.before)
        event = StageChanged(
            from_=self.stage, to=stage, seq=self.seqs.get(Topic.STAGE, 0) + 1, cycle=change.cycle, reason=reason,
            product=self.product, **said,
        )  # fmt: skip
        self.before, self.stage, self.cycle = self.stage, stage, change.cycle
        self.moves.append(event)
        return self.say(event)

    def born(self) -> list[Stored]:
        return [self.card(), self.moved("captured", "first_interest")]

    def way(self, *steps: tuple[str, str]) -> list[Stored]:
        """Several steps, a minute apart."""
        told: list[Stored] = []
        for to, reason in steps:
            self.at += timedelta(minutes=1)
            told.append(self.moved(to, reason))
        return told

    def wander(self, dice: random.Random, steps: int) -> list[Stored]:
        """Any legal way, seldom a merge; time goes on, and now and then a fact of the past is told late."""
        told: list[Stored] = []
        for _ in range(steps):
            nexts = sorted(EDGES[self.stage]) if self.stage else sorted(BIRTHS)
            if self.stage is Stage.merged:
                assert self.before is not None
                nexts = [self.before]
            elif self.stage and dice.random() < 0.03:
                nexts = [Stage.merged]
            to = dice.choice(nexts)
            reason = dice.choice(sorted(reasons_for(self.stage, to)))
            self.at += timedelta(minutes=dice.choice([1, 60, 3000]))
            late = timedelta(days=dice.choice([0, 0, 0, 3]))
            self.at -= late
            told.append(self.moved(to, reason))
            self.at += late
        return told


def speaker_of(topic: Topic) -> str:
    return {Topic.SCORE: "scoring", Topic.NURTURE: "nurture", Topic.HANDOVER: "handover"}.get(topic, "capture")


def insights(dsn: str, clock: Clock | None = None, **settings: Any) -> Runtime[Any]:
    """An insights service on a database of its own."""
    # Nobody listens on port 1, so the services that a page asks are away.
    given = {"services_url": "http://127.0.0.1:1", **settings}
    return Runtime(service, InsightsSettings(database_url=dsn, api_key=KEY, **given), clock)


def client(runtime: Runtime[Any], **headers: str) -> httpx.AsyncClient:
    """Its API, asked by the operator unless other headers are given."""
    transport = httpx.ASGITransport(app=runtime.app(("api",)), client=("127.0.0.1", 4711))
    headers = headers or {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8005", headers=headers)


@asynccontextmanager
async def served(runtime: Runtime[Any]) -> AsyncGenerator[str]:
    """Its API and console on a port of their own, as the address to reach them at."""
    web = server(runtime.app(("api",)), "127.0.0.1", 0)
    serving = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    finally:
        web.should_exit = True
        await serving


async def hear(runtime: Runtime[Any], told: Sequence[Stored]) -> None:
    await runtime.consumer.take(told)
