"""What an operation costs at ten thousand, a hundred thousand and a million leads.

Some two thousand leads go all the way through a running installation; then every row that was made of them is
multiplied inside the database, with ids of their own, until there are as many as wanted. Each operation is then done
many times on leads chosen at random.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil

from bench.ingest import CONNECTIONS, running
from bench.load import post_leads
from deploy.postgres import EmbeddedPostgres
from services.handover.worklist import page
from services.insights.timeline import read_timeline
from services.scoring.app import service as scoring
from shared.clock import uuid7
from shared.database import Database
from shared.events.capture import ActivityRecorded
from shared.events.codec import Stored, encode_attributes, encode_body
from shared.events.envelope import Attributes
from shared.events.topics import Topic
from shared.service import Runtime
from shared.settings import Settings
from tests.support.installation import KEY, free_ports, installation

SIZES = (10_000, 100_000, 1_000_000)
TEMPLATE = 2_000
BATCH = 500
SCHEMAS = ("capture", "scoring", "handover", "insights")
# Who they belong to, not what they are: the same for every copy.
KEPT = {"rep_id", "owner"}


@dataclass(frozen=True)
class Costs:
    """CPU milliseconds of the whole machine, less the driver's, per lead taken in and per event scored; milliseconds
    until a page of the worklist and of a timeline is there."""

    intake: float
    scoring: float
    worklist: float
    timeline: float


def grow(sizes: Sequence[int] = SIZES, rounds: int = 5) -> dict[int, Costs]:
    with tempfile.TemporaryDirectory(prefix="leadline-growth-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="1GB")
        dsn = postgres.start()
        try:
            with installation(Path(folder), dsn, HANDOVER_FALLBACK_EMAIL="nobody@sales.example") as made:
                asyncio.run(_template(made.ports["capture"], dsn))
            return asyncio.run(_measure_each(dsn, sizes, rounds))
        finally:
            postgres.stop()


async def _template(port: int, dsn: str) -> None:
    """Real leads, heard by everybody."""
    connection = await asyncpg.connect(dsn)
    while await connection.fetchval("SELECT count(*) FROM capture.lead") < TEMPLATE:
        await post_leads(port, 0.5, 16, "X-Site-Key: pk_demo\r\n", seed=uuid7().int % 10**9)
    said = await connection.fetchval("SELECT count(*) FROM bus.capture_log WHERE topic = 'leads.activity'")
    for name in ("scoring", "handover", "insights"):
        while await connection.fetchval(f"SELECT sum(activity_seq) FROM {name}.standing") < said:
            await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    # As many as there would be among leads that are ready for sales.
    await connection.execute(
        """UPDATE handover.lead SET listed = true, stage = 'sql', rank = 1 + get_byte(uuid_send(lead_id), 12) % 3,
               since = now(), waits_for = 'rep' WHERE get_byte(uuid_send(lead_id), 13) % 10 = 0"""
    )
    await connection.close()


async def _measure_each(dsn: str, sizes: Sequence[int], rounds: int) -> dict[int, Costs]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(_COPY_OF)
    await connection.execute("SET synchronous_commit = off")
    template = await connection.fetchval("SELECT count(*) FROM capture.lead")
    await connection.execute("CREATE TABLE public.template AS SELECT lead_id FROM capture.lead")
    copies, found = 1, dict[int, Costs]()
    for size in sizes:
        began = time.perf_counter()
        wanted = max(round(size / template), copies)
        await _multiply(connection, copies, wanted)
        copies = wanted
        print(f"  {template * copies:>9,} leads made in {time.perf_counter() - began:.0f} s", flush=True)
        found[size] = await _measure(connection, dsn, rounds)
    await connection.close()
    return found


# Keeps the milliseconds at the front, which say the day of a log's row, and the last byte, which says the lane.
_COPY_OF = """CREATE FUNCTION public.copy_of(id uuid, number int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(overlay(uuid_send(id) PLACING int4send(number) FROM 11 FOR 4), 'hex')::uuid $$"""


async def _multiply(connection: asyncpg.Connection, copies: int, wanted: int) -> None:
    """Add the copies `copies` to `wanted - 1` of each row that belongs to a lead of the template. What only a reader at
    the end of a list looks at is left out."""
    if wanted <= copies:
        return
    tables = await connection.fetch(
        """SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'lead_id' AND NOT a.attisdropped
           WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND (n.nspname = ANY($1) OR c.oid::regclass::text IN ('bus.capture_log', 'bus.scoring_log'))
               AND c.oid::regclass::text NOT IN ('handover.feed', 'insights.flow')""",
        SCHEMAS,
    )
    for table in tables:
        await connection.execute(await _copying(connection, table["name"]), copies, wanted - 1, timeout=3600)
    await connection.execute("UPDATE insights.tally SET leads = leads * $2 / $1", copies, wanted)
    await connection.execute("VACUUM ANALYZE", timeout=3600)
    await connection.execute("CHECKPOINT", timeout=3600)


async def _copying(connection: asyncpg.Connection, table: str) -> str:
    columns = await connection.fetch(
        """SELECT attname AS name, atttypid::regtype::text AS kind FROM pg_attribute
           WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''""",
        table,
    )
    values: list[str] = []
    for column in columns:
        if column["kind"] == "uuid" and column["name"] not in KEPT:
            values.append(f"public.copy_of(t.{column['name']}, n)")
        elif column["name"] == "pos":
            values.append(f"nextval('{table.replace('_log', '_pos')}')")
        elif table == "capture.identity" and column["name"] == "key":
            values.append("split_part(t.key, ':', 1) || ':' || n || '.' || split_part(t.key, ':', 2)")
        else:
            values.append(f"t.{column['name']}")
    return f"""INSERT INTO {table} ({", ".join(column["name"] for column in columns)})
        SELECT {", ".join(values)} FROM generate_series($1::int, $2::int) n, {table} t
        WHERE t.lead_id IN (SELECT lead_id FROM public.template)"""


async def _measure(connection: asyncpg.Connection, dsn: str, rounds: int) -> Costs:
    leads = await _some_leads(connection, random.Random(7), BATCH * rounds)
    intake, scored = await _intake(dsn, rounds), await _scoring(connection, dsn, leads)
    database = Database(dsn, name="bench")
    async with database.connection() as reading:
        worklist = await _seconds(partial(page, reading, test=False, rep=None, after=None, limit=50) for _ in leads)
        timeline = await _seconds(partial(read_timeline, reading, lead_id, None, 100) for lead_id in leads)
    await database.close()
    return Costs(intake, scored, worklist * 1000, timeline * 1000)


async def _some_leads(connection: asyncpg.Connection, dice: random.Random, count: int) -> list[UUID]:
    """Leads at random, each once: copies and originals alike."""
    rows = await connection.fetch("SELECT lead_id FROM capture.lead WHERE body IS NOT NULL")
    return dice.sample([row["lead_id"] for row in rows], count)


async def _intake(dsn: str, rounds: int) -> float:
    (port,) = free_ports(1)
    environment = {"DATABASE_URL": dsn, "LEADLINE_API_KEY": KEY, "CAPTURE_PORT": str(port), "CAPTURE_DEMO_SITE": "on"}
    costs: list[float] = []
    with running(["services.capture", "api"], port, environment):
        for number in range(rounds + 1):
            busy, own = _busy(), _own()
            taken = await post_leads(port, 3.0, CONNECTIONS, "X-Site-Key: pk_demo\r\n", seed=uuid7().int % 10**9)
            if number:
                costs.append((_busy() - busy - (_own() - own)) / len(taken.seconds) * 1000)
    return statistics.median(costs)


async def _scoring(connection: asyncpg.Connection, dsn: str, leads: Sequence[UUID]) -> float:
    runtime = Runtime(scoring, Settings.model_validate({"database_url": dsn, "api_key": KEY}))
    costs: list[float] = []
    try:
        for start in range(0, len(leads), BATCH):
            rows = await connection.fetch(
                "SELECT lead_id, activity_seq, card_version FROM scoring.standing WHERE lead_id = ANY($1)",
                leads[start : start + BATCH],
            )
            told = [_page_viewed(row["lead_id"], row["activity_seq"] + 1, row["card_version"]) for row in rows]
            busy = _busy()
            await runtime.consumer.take(told)
            costs.append((_busy() - busy) / len(told) * 1000)
    finally:
        await runtime.database.close()
    return statistics.median(costs[1:])


def _page_viewed(lead_id: UUID, seq: int, card_version: int) -> Stored:
    now = datetime.now(UTC)
    attributes = Attributes(
        source="/leadline/capture", time=now, recordedtime=now, site="demo", cardversion=card_version
    )
    event = ActivityRecorded(activity="page_viewed", path="/pricing")
    return Stored(
        place=("told", 0, seq),
        event_id=uuid7(),
        topic=Topic.ACTIVITY,
        lead_id=lead_id,
        seq=seq,
        type=event.type,
        attributes=encode_attributes(attributes),
        body=encode_body(event),
    )


async def _seconds(questions: Iterable[Callable[[], Awaitable[object]]]) -> float:
    """Of the median question."""
    seconds: list[float] = []
    for ask in questions:
        began = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _busy() -> float:
    """CPU seconds that the machine has worked."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _own() -> float:
    times = os.times()
    return times.user + times.system
