"""Two toy services on the real plumbing: one says things about leads, one writes down each effect it has.

They stand where capture and scoring stand, so that topics, logs and groups are the real ones; the effects table has
no unique constraint, so that an effect that happens twice is seen twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from shared import log
from shared.clock import EPOCH, SystemClock
from shared.database import Connection, plumbing
from shared.events.capture import ActivityRecorded, CardChanged, CardErased
from shared.events.codec import Stored, encode_body
from shared.events.envelope import Envelope, Event
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason
from shared.service import Runtime, Service
from shared.settings import Settings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""What the clock of a toy shows that has one of its own."""

TABLES = [
    "CREATE TABLE capture.lead (lead_id uuid PRIMARY KEY, version bigint NOT NULL, body text, erasure_id text)",
    "CREATE VIEW bus.card AS SELECT lead_id, version, body, erasure_id FROM capture.lead",
    """CREATE TABLE scoring.effect (number bigint GENERATED ALWAYS AS IDENTITY, lead_id uuid, topic text, seq bigint,
        event_id uuid, word text, at timestamptz DEFAULT clock_timestamp(),
        hearer text DEFAULT current_setting('leadline.hearer', true))""",
]


async def make_tables(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in [*plumbing("capture"), *plumbing("scoring"), *TABLES]:
            await connection.execute(statement)
        async with connection.transaction():
            for speaker in ("capture", "scoring"):
                await log.ensure_days(connection, speaker, SystemClock().now().date())
    finally:
        await connection.close()


@dataclass
class Spoken:
    version: int = 0
    erasure_id: str | None = None


class Cards:
    """The speaker's own rows: the card as it now is."""

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Spoken]:
        return {lead_id: Spoken() for lead_id in lead_ids}

    async def save(self, connection: Connection, leads: Sequence[Lead[Spoken]]) -> None:
        for lead in leads:
            body = encode_body(CardChanged(version=lead.standing.card_version, name=f"v{lead.standing.card_version}"))
            gone = lead.state.erasure_id is not None
            await connection.execute(
                """INSERT INTO capture.lead VALUES ($1, $2, $3, $4) ON CONFLICT (lead_id) DO UPDATE
                   SET version = excluded.version, body = excluded.body, erasure_id = excluded.erasure_id""",
                lead.lead_id, lead.standing.card_version, None if gone else body, lead.state.erasure_id,
            )  # fmt: skip

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        return {}


@dataclass
class Written:
    effects: list[tuple[str, int, UUID, str]] = field(default_factory=list)


class Effects:
    """The hearer's own rows: each effect, one after the other."""

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Written]:
        return {lead_id: Written() for lead_id in lead_ids}

    async def save(self, connection: Connection, leads: Sequence[Lead[Written]]) -> None:
        rows = [(lead.lead_id, *effect) for lead in leads for effect in lead.state.effects]
        if any(word == "unsaveable" for *_, word in rows):
            await connection.execute("SELECT 1/0")
        await connection.executemany(
            "INSERT INTO scoring.effect (lead_id, topic, seq, event_id, word) VALUES ($1, $2, $3, $4, $5)", rows
        )

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        await connection.execute("DELETE FROM scoring.effect WHERE lead_id = ANY($1)", lead_ids)
        return {lead_id: {"effect": 1} for lead_id in lead_ids}


broken: set[str] = set(filter(None, os.environ.get("TOY_BROKEN_WORDS", "").split(",")))
"""Words on which the hearer's handler raises."""


def write_down(lead: Lead[Written], event: Envelope[Event], now: datetime) -> None:
    word = event.data.activity if isinstance(event.data, ActivityRecorded) else event.type.split(".")[2]
    if word in broken:
        raise ValueError(f"cannot bear {word}")
    lead.state.effects.append((event.topic, event.seq, event.id, word))


def score(lead: Lead[Written], event: Envelope[ActivityRecorded], now: datetime) -> None:
    write_down(lead, event, now)
    lead.say(
        ScoreChanged(
            score=float(event.seq), fit=0.0, engagement=0.0, grade="", temperature="", cycle=1, rules_version=1
        )
    )
    if event.data.activity == "demo_requested" and lead.mine:
        lead.move(Stage.sql, Reason.demo_requested)


def ring(lead: Lead[Written], due: datetime, now: datetime) -> None:
    lead.state.effects.append(("timer", 0, lead.lead_id, f"rang {due.isoformat()}"))


SPEAKER: Service[Spoken] = Service(
    name="capture",
    consumes={},
    publishes=(CardChanged, CardErased, ActivityRecorded, StageChanged),
    repository=Cards,
)
HEARER: Service[Written] = Service(
    name="scoring",
    consumes={CardChanged: write_down, ActivityRecorded: score, StageChanged: write_down},
    publishes=(ScoreChanged, StageChanged),
    repository=Effects,
    timers={"ring": ring},
)


class Toy(Runtime[Any]):
    """A runtime whose tables are made by the test."""

    async def migrate(self) -> None:
        return


def toy(service: Service[Any], dsn: str, bootstrap: str | None = None, prefix: str = "", clock: Any = None) -> Toy:
    settings = Settings(
        database_url=dsn, kafka_bootstrap_servers=bootstrap, kafka_prefix=prefix, api_key="toy-operator-key"
    )
    return Toy(service, settings, clock)


async def speak(speaker: Runtime[Spoken], lead_ids: Sequence[UUID], word: str = "page_viewed") -> None:
    """Say one activity of each lead; a lead that is new is captured and registered first, with a card."""
    async with speaker.leads.work(lead_ids, create=True) as work:
        for lead in work.leads.values():
            if lead.standing.stage is None:
                lead.standing.card_version += 1
                lead.say(CardChanged(version=lead.standing.card_version))
                lead.move(Stage.captured, Reason.first_interest)
                lead.move(Stage.registered, Reason.contact_valid)
            lead.say(ActivityRecorded(activity=word))


async def erase(speaker: Runtime[Spoken], lead_id: UUID, erasure_id: str = "erasure") -> None:
    async with speaker.leads.work([lead_id]) as work:
        lead = work.lead(lead_id)
        lead.state.erasure_id = erasure_id
        lead.standing.card_version += 1
        lead.say(CardErased(erasure_id=erasure_id))


async def said(speaker: Toy) -> list[Stored]:
    """All that the speaker has said so far, in order."""
    async with speaker.database.connection() as connection:
        found = await log.read(connection, "capture", dict.fromkeys(log.ALL_LANES, 0), EPOCH, per_lane=10_000)
        return await log.with_cards(connection, found)
