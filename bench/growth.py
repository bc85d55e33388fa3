"""What an operation costs at ten thousand, a hundred thousand and a million leads.

For each size some two thousand leads go all the way through a running installation of its own; then every row that was
made of them is multiplied inside the database, with ids of their own, until there are as many as wanted. When all are
ready, each operation is done in turns on one after the other, on leads chosen at random among all it has.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import UUID

import asyncpg
import psutil

from bench.ingest import CONNECTIONS, running
from bench.load import Caller, post_leads
from bench.shares import seconds_of, with_children
from deploy.postgres import EmbeddedPostgres
from services.scoring.app import service as scoring
from services.scoring.domain.scored import Scored
from shared.clock import uuid7
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
# Of leads that do something in a turn; all turns together need fewer than ten thousand of them.
BATCHES = 2
# Turns that do not count: by then what every operation goes through on its way to a lead's own rows is in memory, as in
# an installation that has run for a minute.
WARM_UP = 4
SCHEMAS = ("capture", "scoring", "handover", "insights")
ASKED = ("capture", "handover", "insights")
FALLBACK = {"HANDOVER_FALLBACK_EMAIL": "nobody@sales.example"}
# Who they belong to, not what they are: the same for every copy.
KEPT = {"rep_id", "owner"}


@dataclass(frozen=True)
class Costs:
    """CPU milliseconds of service and database together, per lead taken in and per event scored; milliseconds until a
    page of the worklist and a timeline are answered."""

    intake: float
    scoring: float
    worklist: float
    timeline: float

    @classmethod
    def median(cls, turns: Sequence[Self]) -> Self:
        return cls(*map(statistics.median, zip(*map(astuple, turns), strict=True)))


def grow(sizes: Sequence[int] = SIZES, rounds: int = 5) -> dict[int, Costs]:
    with ExitStack() as stack:
        # The largest first: of what the smaller ones hold nothing shall have left the system's cache meanwhile.
        made = {size: stack.enter_context(_grown(size)) for size in sorted(sizes, reverse=True)}
        return asyncio.run(_measure({size: made[size] for size in sizes}, rounds))


@contextmanager
def _grown(size: int) -> Generator[EmbeddedPostgres]:
    """A server that holds so many leads."""
    with tempfile.TemporaryDirectory(prefix=f"leadline-growth-{size}-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="1GB")
        dsn = postgres.start()
        try:
            with installation(Path(folder), dsn, **FALLBACK) as made:
                asyncio.run(_template(made.ports["capture"], dsn))
            began = time.perf_counter()
            leads = asyncio.run(_multiply(dsn, size))
            print(f"  {leads:>9,} leads made in {time.perf_counter() - began:.0f} s", flush=True)
            yield postgres
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


# Changes two bytes of those that are random. The milliseconds at the front say the day of a log's row, the count behind
# them tells apart what was made at once, and the last byte says the lane.
_COPY_OF = """CREATE FUNCTION public.copy_of(id bytea, number int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(set_byte(set_byte(id, 12, get_byte(id, 12) # (number >> 8)),
                           13, get_byte(id, 13) # (number & 255)), 'hex')::uuid $$"""


async def _multiply(dsn: str, wanted: int) -> int:
    """Copy each row that belongs to a lead until there are about `wanted` leads; answers how many there are. What only
    a reader at the end of a list looks at is left out."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_COPY_OF)
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("CREATE TABLE public.template AS SELECT lead_id FROM capture.lead")
        template = await connection.fetchval("SELECT count(*) FROM public.template")
        times = max(round(wanted / template), 1)
        for table in await _tables(connection):
            await connection.execute(await _copying(connection, table), 1, times - 1, timeout=3600)
        await connection.execute("UPDATE insights.tally SET leads = leads * $1", times)
        await connection.execute("VACUUM ANALYZE", timeout=3600)
        await connection.execute("CHECKPOINT", timeout=3600)
        return template * times
    finally:
        await connection.close()


async def _tables(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        """SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'lead_id' AND NOT a.attisdropped
           WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND (n.nspname = ANY($1) OR c.oid::regclass::text IN ('bus.capture_log', 'bus.scoring_log'))
               AND c.oid::regclass::text NOT IN ('handover.feed', 'insights.flow')""",
        SCHEMAS,
    )
    return [row["name"] for row in rows]


# A contact point of a copy stands anywhere among all others, as those of new leads do.
_ANYWHERE = r"""regexp_replace(
    t.key, '[0-9]+', ((hashtext(n || t.key)::bigint & 2147483647) % 300000) || '.' || n || '.\&')"""


async def _copying(connection: asyncpg.Connection, table: str) -> str:
    columns = await connection.fetch(
        """SELECT attname AS name, atttypid::regtype::text AS kind FROM pg_attribute
           WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''""",
        table,
    )
    values: list[str] = []
    for column in columns:
        if column["kind"] == "uuid" and column["name"] not in KEPT:
            values.append(f"public.copy_of(uuid_send(t.{column['name']}), n)")
        elif column["name"] == "pos":
            values.append(f"nextval('{table.replace('_log', '_pos')}')")
        elif table == "capture.identity" and column["name"] == "key":
            values.append(_ANYWHERE)
        else:
            values.append(f"t.{column['name']}")
    return f"""INSERT INTO {table} ({", ".join(column["name"] for column in columns)})
        SELECT {", ".join(values)} FROM generate_series($1::int, $2::int) n, {table} t
        WHERE t.lead_id IN (SELECT lead_id FROM public.template)"""


async def _measure(made: dict[int, EmbeddedPostgres], rounds: int) -> dict[int, Costs]:
    """In turns; the first ones of each only warm it up."""
    found: dict[int, list[Costs]] = {size: [] for size in made}
    with ExitStack() as stack:
        sides = {size: stack.enter_context(_served(postgres)) for size, postgres in made.items()}
        each = BATCH * BATCHES
        turns = WARM_UP + rounds
        chosen = {size: await _some_leads(postgres.dsn(), each * turns) for size, postgres in made.items()}
        for number in range(turns):
            for size, side in sides.items():
                turn = await side.turn(chosen[size][number * each : (number + 1) * each])
                print(f"  {size:>9,} " + "".join(f"{cost:9.2f}" for cost in astuple(turn)), flush=True)
                if number >= WARM_UP:
                    found[size].append(turn)
    return {size: Costs.median(turns) for size, turns in found.items()}


@contextmanager
def _served(postgres: EmbeddedPostgres) -> Iterator[Side]:
    """The services that are asked, on this server."""
    ports = dict(zip(ASKED, free_ports(len(ASKED)), strict=True))
    environment = {"DATABASE_URL": postgres.dsn(), "LEADLINE_API_KEY": KEY, "CAPTURE_DEMO_SITE": "on", **FALLBACK}
    environment |= {"LEADLINE_DATA_DIR": str(postgres.data_dir.parent)}
    environment |= {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    server = psutil.Process(int((postgres.data_dir / "postmaster.pid").read_text().split()[0]))
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(running([f"services.{name}", "api"], port, environment))
            for name, port in ports.items()
        }
        yield Side(postgres.dsn(), server, processes["capture"], ports)


async def _some_leads(dsn: str, count: int) -> list[UUID]:
    """Leads at random, each once: copies and originals alike."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT lead_id FROM capture.lead WHERE body IS NOT NULL ORDER BY lead_id")
    await connection.close()
    return random.Random(7).sample([row["lead_id"] for row in rows], count)


@dataclass(frozen=True)
class Side:
    """An installation of one size."""

    dsn: str
    server: psutil.Process
    capture: psutil.Process
    ports: dict[str, int]

    async def turn(self, leads: Sequence[UUID]) -> Costs:
        return Costs(
            intake=await self._intake(),
            scoring=await self._scoring(leads),
            worklist=await self._asking("handover", ["/v1/worklist?limit=50"] * BATCH),
            timeline=await self._asking("insights", [f"/v1/leads/{lead_id}/timeline" for lead_id in leads[:BATCH]]),
        )

    async def _intake(self) -> float:
        busy = self._busy()
        seed = uuid7().int % 10**9
        taken = await post_leads(self.ports["capture"], 3.0, CONNECTIONS, "X-Site-Key: pk_demo\r\n", seed)
        return (self._busy() - busy) / len(taken.seconds) * 1000

    def _busy(self) -> float:
        return with_children(self.server) + seconds_of(self.capture)

    async def _scoring(self, leads: Sequence[UUID]) -> float:
        async with _scorer(self.dsn) as runtime:
            async with runtime.database.connection() as connection:
                rows = await connection.fetch(
                    "SELECT lead_id, activity_seq, card_version FROM scoring.standing WHERE lead_id = ANY($1)", leads
                )
            told = [_page_viewed(row["lead_id"], row["activity_seq"] + 1, row["card_version"]) for row in rows]
            busy = with_children(self.server) + _own()
            for start in range(0, len(told), BATCH):
                await runtime.consumer.take(told[start : start + BATCH])
            return (with_children(self.server) + _own() - busy) / len(told) * 1000

    async def _asking(self, service: str, paths: Sequence[str]) -> float:
        """Milliseconds until the median answer."""
        caller = await Caller.at(self.ports[service], f"Authorization: Bearer {KEY}\r\n")
        seconds: list[float] = []
        for path in paths:
            began = time.perf_counter()
            status, said = await caller.get(path)
            seconds.append(time.perf_counter() - began)
            assert status == 200, said
        caller.writer.close()
        return statistics.median(seconds) * 1000


@asynccontextmanager
async def _scorer(dsn: str) -> AsyncGenerator[Runtime[Scored]]:
    runtime = Runtime(scoring, Settings.model_validate({"database_url": dsn, "api_key": KEY}))
    try:
        yield runtime
    finally:
        await runtime.database.close()


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


def _own() -> float:
    times = os.times()
    return times.user + times.system
