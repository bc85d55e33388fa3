"""R12: events a second that scoring hears from Apache Kafka, works and commits, beside reading alone and one at a time.

All sides read the same backlog of one topic, written as the relay writes it, and begin at its start. The plain reader
only counts; FastStream is given one message after the other, each worked by the same code in a transaction of its own
and acknowledged. How several processes of one service share the work is measured with a backlog of their own.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.ingest import running
from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from services.scoring.app import service as scoring
from shared.bus.kafka import PARTITIONS, ensure_topics, producing, publish
from shared.clock import SystemClock
from shared.events.codec import Stored
from shared.events.topics import Topic
from shared.log import ensure_days
from shared.service import Runtime
from shared.settings import Settings
from tests.support.installation import KEY, free_ports
from tests.support.scored_leads import Heard

LEADS = 5_000
CONSUMERS = (1, 2, 4)
# FastStream is given less, so that its turn lasts about as long.
PART_FOR_ONE_BY_ONE = 20
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120
# Reading alone is over so soon that the backlog is read several times.
READINGS = 3
GROUPS = {"leadline": "leadline-scoring", "getmany": "bench-getmany", "faststream": "bench-faststream"}
_BATCH = 2_000
_DONE = "SELECT coalesce(sum(activity_seq), 0)::bigint FROM scoring.standing"
# What leads do that scoring counts and that moves none of them to sales by itself.
_FACTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("page_viewed", {"path": "/pricing"}),
    ("page_viewed", {"path": "/blog/how-to-choose"}),
    ("form_submitted", {"asset": "checklist", "channel": "paid", "medium": "cpc", "campaign": "winter"}),
    ("page_viewed", {"path": "/customers"}),
)


@dataclass(frozen=True)
class Paced:
    """Events a second, and CPU seconds for a thousand of them by part."""

    per_second: float
    cpu: dict[str, float]


@dataclass
class Ground:
    """Both servers, and a database in which scoring knows the leads and has heard nothing of what they did."""

    kafka: KafkaServer
    postgres: EmbeddedPostgres
    leads: list[Heard]

    def database(self, name: str) -> str:
        """A fresh copy."""
        asyncio.run(_execute(self.postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE known", "CHECKPOINT"))
        return self.postgres.dsn(name)

    def facts(self, count: int) -> list[Stored]:
        """Of one lead after the other, over and over; each lead's are numbered from the first."""
        for lead in self.leads:
            lead.seqs.pop(Topic.ACTIVITY, None)
        return [_fact(self.leads[number % LEADS], number // LEADS) for number in range(count)]

    def worked(self, consumers: Sequence[psutil.Process]) -> dict[str, float]:
        server = psutil.Process(int((self.postgres.data_dir / "postmaster.pid").read_text().split()[0]))
        broker = psutil.Process(int((self.kafka.folder / "kafka.pid").read_text()))
        return {
            "consumers": sum(map(_cpu, consumers)),
            "PostgreSQL": _cpu(server) + sum(_cpu(one) for one in server.children(recursive=True)),
            "Kafka": _cpu(broker),
        }


@contextmanager
def ground() -> Generator[Ground]:
    with tempfile.TemporaryDirectory(prefix="leadline-hearing-") as folder, ExitStack() as stack:
        kafka, postgres = KafkaServer(Path(folder) / "kafka"), EmbeddedPostgres(Path(folder) / "postgres", "512MB")
        stack.callback(postgres.stop)
        stack.callback(kafka.stop)
        dsn = postgres.start()
        kafka.start()
        asyncio.run(_execute(dsn, "CREATE DATABASE known"))
        leads = [Heard(SystemClock(), f"person{number}@company{number}.example") for number in range(LEADS)]
        asyncio.run(_make_known(postgres.dsn("known"), leads))
        yield Ground(kafka, postgres, leads)


def compare(at: Ground, count: int, rounds: int) -> dict[str, list[Paced]]:
    """The three in turns; a first turn of each only warms the page cache and the broker up."""
    asyncio.run(_fill(at.kafka.bootstrap, "", at.facts(count)))
    found: dict[str, list[Paced]] = {side: [] for side in GROUPS}
    for number in range(rounds + 1):
        for side, turns in found.items():
            asyncio.run(_rewind(at.kafka.bootstrap, GROUPS[side]))
            turn = _READ[side](at, f"{side}_{number}", count)
            if number:
                turns.append(turn)
            print(f"  {side:<10} {turn.per_second:9,.0f} /s", flush=True)
    return found


def share(at: Ground, count: int, rounds: int) -> dict[int, list[Paced]]:
    found: dict[int, list[Paced]] = {consumers: [] for consumers in CONSUMERS}
    for number in range(rounds):
        for consumers, turns in found.items():
            turns.append(_shared(at, f"round{number}_of{consumers}", consumers, count))
            print(f"  {consumers} consumers {turns[-1].per_second:9,.0f} /s", flush=True)
    return found


def median(turns: Sequence[Paced]) -> Paced:
    cpu = {part: statistics.median(turn.cpu[part] for turn in turns) for part in turns[0].cpu}
    return Paced(statistics.median(turn.per_second for turn in turns), cpu)


def _by_leadline(at: Ground, name: str, count: int) -> Paced:
    dsn = at.database(name)
    with _consumer(at, dsn, "") as process:
        return _watched(at, dsn, [process], round(count * 0.1), count)


def _by_faststream(at: Ground, name: str, count: int) -> Paced:
    dsn = at.database(name)
    wanted = count // PART_FOR_ONE_BY_ONE
    with _ours("bench.one_by_one", at.kafka.bootstrap, dsn) as process:
        return _watched(at, dsn, [psutil.Process(process.pid)], round(wanted * 0.1), wanted)


def _by_getmany(at: Ground, _name: str, count: int) -> Paced:
    with _ours("bench.hearing", at.kafka.bootstrap, str(count)) as process:
        said, _ = process.communicate(timeout=300)
    per_second, cpu = map(float, said.split())
    return Paced(per_second, {"consumers": cpu, "PostgreSQL": 0.0, "Kafka": 0.0})


_READ = {"leadline": _by_leadline, "getmany": _by_getmany, "faststream": _by_faststream}


def _shared(at: Ground, name: str, consumers: int, count: int) -> Paced:
    """All members are there before the backlog is: its time counts from the moment the last of it was written."""
    dsn, prefix = at.database(name), f"{name}."
    with ExitStack() as stack:
        members = [stack.enter_context(_consumer(at, dsn, prefix)) for _ in range(consumers)]
        time.sleep(4)
        asyncio.run(_fill(at.kafka.bootstrap, prefix, at.facts(count)))
        return _watched(at, dsn, members, 0, count)


@contextmanager
def _consumer(at: Ground, dsn: str, prefix: str) -> Generator[psutil.Process]:
    (port,) = free_ports(1)
    environment = {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": at.kafka.bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "LEADLINE_API_KEY": KEY,
        "SCORING_PORT": str(port),
    }
    with running(["services.scoring", "consume"], port, environment) as process:
        yield process


@contextmanager
def _ours(module: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def _watched(at: Ground, dsn: str, consumers: Sequence[psutil.Process], first: int, last: int) -> Paced:
    """From the first look that finds `first` done to the one that finds `last` done."""
    return asyncio.run(_watch(at, dsn, consumers, first, last))


async def _watch(at: Ground, dsn: str, consumers: Sequence[psutil.Process], first: int, last: int) -> Paced:
    connection = await asyncpg.connect(dsn)
    until = time.perf_counter() + PATIENCE_SECONDS
    while (done := await connection.fetchval(_DONE)) < first:
        await _alive(consumers)
        assert time.perf_counter() < until, f"{done} of {first} heard"
    began, before, busy = time.perf_counter(), done, at.worked(consumers)
    while (done := await connection.fetchval(_DONE)) < last:
        await _alive(consumers)
        assert time.perf_counter() < began + PATIENCE_SECONDS, f"{done} of {last} heard"
    lasted, worked = time.perf_counter() - began, at.worked(consumers)
    await connection.close()
    heard = done - before
    return Paced(heard / lasted, {part: (worked[part] - busy[part]) / heard * 1000 for part in worked})


async def _alive(consumers: Sequence[psutil.Process]) -> None:
    assert all(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in consumers), "a consumer has ended"
    await asyncio.sleep(LOOK_SECONDS)


def _fact(lead: Heard, turn: int) -> Stored:
    activity, said = _FACTS[turn % len(_FACTS)]
    return lead.did(activity, **said)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _make_known(dsn: str, leads: Sequence[Heard]) -> None:
    async with scoring_on(dsn) as runtime:
        await runtime.migrate()
        async with runtime.database.transaction() as connection:
            await ensure_days(connection, "scoring", SystemClock().now().date())
        for start in range(0, len(leads), 250):
            some = leads[start : start + 250]
            told = [event for lead in some for event in (lead.card(company="Norrvik"), *lead.born())]
            await runtime.consumer.take(told)


@asynccontextmanager
async def scoring_on(dsn: str) -> AsyncGenerator[Runtime[Any]]:
    runtime = Runtime(scoring, Settings.model_validate({"database_url": dsn, "api_key": KEY}))
    try:
        yield runtime
    finally:
        await runtime.database.close()


async def _fill(bootstrap: str, prefix: str, facts: Sequence[Stored]) -> None:
    await ensure_topics(bootstrap, prefix, [Topic.ACTIVITY])
    async with producing(bootstrap) as producer:
        for start in range(0, len(facts), _BATCH):
            await publish(producer, prefix, facts[start : start + _BATCH])


async def _rewind(bootstrap: str, group: str) -> None:
    """To the start of the backlog; nobody of the group runs."""
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await kafka.start()
    partitions = [TopicPartition(Topic.ACTIVITY, number) for number in range(PARTITIONS)]
    kafka.assign(partitions)
    await kafka.commit(dict.fromkeys(partitions, 0))
    await kafka.stop()


async def getmany(bootstrap: str, count: str) -> None:
    """As a process of its own: prints events a second, and CPU seconds for a thousand."""
    kafka = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=GROUPS["getmany"], enable_auto_commit=False, auto_offset_reset="earliest"
    )
    kafka.subscribe([Topic.ACTIVITY])
    await kafka.start()
    await kafka.getmany(timeout_ms=10_000, max_records=1)
    me, readings = psutil.Process(), list[tuple[float, float]]()
    for _ in range(READINGS):
        await kafka.seek_to_beginning()
        began, busy, read = time.perf_counter(), _cpu(me), 0
        while read < int(count):
            read += sum(map(len, (await kafka.getmany(timeout_ms=200, max_records=500)).values()))
        await kafka.commit()
        readings.append((read / (time.perf_counter() - began), (_cpu(me) - busy) / read * 1000))
    await kafka.stop()
    print(*(statistics.median(column) for column in zip(*readings, strict=True)))


if __name__ == "__main__":
    asyncio.run(getmany(*sys.argv[1:]))
