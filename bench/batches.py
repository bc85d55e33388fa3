"""R5: facts taken in by the hundred, against plain inserts of the same rows into the same tables.

The plain side keeps what capture keeps of a fact, a row of its log and the number of it, a hundred at a time in one
transaction and over as many connections; it reads no request, knows no lead and locks no lane.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from bench.ingest import running
from bench.load import Measured, lead, post
from shared.clock import uuid7
from shared.events.capture import ActivityRecorded
from shared.events.codec import encode_attributes, encode_body
from shared.events.envelope import Attributes
from shared.events.topics import Topic, lane_of
from tests.support.installation import KEY, free_ports

CONNECTIONS = 8
FACTS = 100
LEADS = 5_000


def compare(dsn: str, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rows a second of each side, in turns; the first turn of each only warms it up."""
    (port,) = free_ports(1)
    environment = {"DATABASE_URL": dsn, "LEADLINE_API_KEY": KEY, "CAPTURE_PORT": str(port), "CAPTURE_DEMO_SITE": "on"}
    found: dict[str, list[float]] = {"leadline": [], "inserts": []}
    with running(["services.capture", "api"], port, environment):
        leads = asyncio.run(_some_leads(port, dsn))
        for number in range(rounds + 1):
            ours = FACTS * asyncio.run(_posted(port, leads, seconds, number)).per_second
            plain = asyncio.run(_inserted(dsn, leads, seconds))
            if number:
                found["leadline"].append(ours)
                found["inserts"].append(plain)
            print(f"  leadline {ours:8,.0f} /s   inserts {plain:8,.0f} /s", flush=True)
    return found


async def _some_leads(port: int, dsn: str) -> list[UUID]:
    numbers = iter(range(LEADS))
    connection = await asyncpg.connect(dsn)
    known = 0
    while known < LEADS / 2:
        await post(
            port, 1.0, 32, "X-Site-Key: pk_demo\r\n",
            lambda name: ("/v1/leads", lead(next(numbers, random.randrange(LEADS)), name)), str(uuid7()),
        )  # fmt: skip
        known = await connection.fetchval("SELECT count(*) FROM capture.lead")
    rows = await connection.fetch("SELECT lead_id FROM capture.lead ORDER BY lead_id")
    await connection.close()
    return [row["lead_id"] for row in rows]


async def _posted(port: int, leads: list[UUID], seconds: float, number: int) -> Measured:
    dice = random.Random(number)

    def facts(_name: str) -> tuple[str, bytes]:
        viewed = {"type": "page_viewed", "url": "https://shop.example/pricing"}
        some = [{"lead_id": lead_id, **viewed} for lead_id in dice.sample(leads, FACTS)]
        return "/v1/activities", msgspec.json.encode({"activities": some})

    headers = f"Authorization: Bearer {KEY}\r\nX-Site-Key: pk_demo\r\n"
    return await post(port, seconds, CONNECTIONS, headers, facts, f"facts-{number}")


async def _inserted(dsn: str, leads: list[UUID], seconds: float) -> float:
    began, rows = time.perf_counter(), 0
    dice = random.Random(1)

    async def insert() -> None:
        nonlocal rows
        connection = await asyncpg.connect(dsn)
        while time.perf_counter() - began < seconds:
            await _insert(connection, sorted(dice.sample(leads, FACTS)))
            rows += FACTS
        await connection.close()

    await asyncio.gather(*(insert() for _ in range(CONNECTIONS)))
    return rows / (time.perf_counter() - began)


async def _insert(connection: asyncpg.Connection, leads: list[UUID]) -> None:
    body = encode_body(ActivityRecorded(activity="page_viewed", activity_id=str(uuid7()), path="/pricing"))
    async with connection.transaction():
        rows = await connection.fetch(
            """UPDATE capture.standing s SET said_seq = said_seq + 1
               WHERE lead_id IN (SELECT lead_id FROM capture.standing WHERE lead_id = ANY($1)
                   ORDER BY lead_id FOR UPDATE) RETURNING lead_id, said_seq""",
            leads,
        )
        now = datetime.now(UTC)
        attributes = encode_attributes(Attributes(source="/leadline/capture", time=now, recordedtime=now, site="demo"))
        await connection.execute(
            """INSERT INTO bus.capture_log (event_id, topic, lane, pos, lead_id, seq, type, attributes, body)
               SELECT event_id, $2, lane, nextval('bus.capture_pos'), lead_id, seq, $6, $7, $8
               FROM unnest($1::uuid[], $3::smallint[], $4::uuid[], $5::bigint[]) AS f(event_id, lane, lead_id, seq)""",
            [uuid7() for _ in rows],
            str(Topic.ACTIVITY),
            [lane_of(row["lead_id"]) for row in rows],
            [row["lead_id"] for row in rows],
            [row["said_seq"] for row in rows],
            ActivityRecorded.type,
            attributes,
            body,
        )
