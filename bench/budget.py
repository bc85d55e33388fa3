"""What a lead costs, and where it goes: the events it makes, who hears each, and the CPU of every part.

Leads come at a rate that the machine can just keep up with, so that next to nothing is spent on looking where nothing
is; what an idle installation spends on that is told apart. The parts' CPU is held against that of the whole machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from bench.load import Measured, post_at
from bench.shares import Parts, between, machine
from bench.to_sales import REPS
from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from shared.clock import uuid7_at
from shared.events.codec import EVENTS
from shared.events.topics import SERVICES, Topic
from shared.service import Service
from tests.support.installation import KEY, Installation, installation

KINDS = {"form_submitted": 100.0, "demo_requested": 100.0}
SECONDS = 10.0
# The next rate that is tried, of what was done when one was too much; how much longer than a lead alone takes, all must
# be done after the last post.
SLOWER = 0.9
DONE_SECONDS = 2.0
LOOK_SECONDS = 0.25
# So long nothing may happen any more before it counts as done.
QUIET_SECONDS = 1.5
IDLE_SECONDS = 10.0


@dataclass(frozen=True)
class Budget:
    """Of one lead: `events` by type, `heard` by service, `mails`, and CPU milliseconds by part; `whole` is that of the
    machine. `busy` is the machine's load, 1 for all cores."""

    kind: str
    rate: float
    leads: int
    busy: float
    events: dict[str, float]
    heard: dict[str, float]
    mails: float
    cpu: dict[str, float]
    whole: float


@dataclass(frozen=True)
class Look:
    """What had been done, and at what cost, by a moment."""

    at: float
    said: dict[str, int]
    heard: dict[str, float]
    mails: float
    worked: dict[str, float]
    machine: float

    @property
    def done(self) -> tuple[object, ...]:
        return self.said, self.heard, self.mails


class Looking:
    def __init__(self, made: Installation, connection: asyncpg.Connection, parts: Parts) -> None:
        self.made, self.connection, self.parts = made, connection, parts
        self.http = httpx.AsyncClient()

    async def look(self) -> Look:
        columns = ", ".join(f"(SELECT last_value FROM bus.{name}_pos) AS {name}" for name in SERVICES)
        row = await self.connection.fetchrow(f"SELECT {columns}")
        assert row is not None
        figures = {name: (await self.http.get(self.made.url(name) + "/metrics")).text for name in SERVICES}
        heard = {name: _figure("leadline_consumer_applied_total", text) for name, text in figures.items()}
        mails = sum(_figure("leadline_mails_total", text) for text in figures.values())
        return Look(time.perf_counter(), dict(row), heard, mails, self.parts.worked(), machine())

    async def until_quiet(self) -> Look:
        """Answers the look at which the last thing was done."""
        last = await self.look()
        while time.perf_counter() < last.at + QUIET_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            now = await self.look()
            if now.done != last.done:
                last = now
        return last


def measure(on_kafka: bool = False, seconds: float = SECONDS) -> tuple[list[Budget], dict[str, float]]:
    """A budget of each kind, and by part the share of a core that it spends when idle."""
    with tempfile.TemporaryDirectory(prefix="leadline-budget-") as folder, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="512MB")
        stack.callback(postgres.stop)
        dsn, carrier, broker = postgres.start(), dict[str, str](), None
        if on_kafka:
            kafka = KafkaServer(Path(folder) / "kafka")
            stack.callback(kafka.stop)
            carrier = {"KAFKA_BOOTSTRAP_SERVERS": kafka.start()}
            broker = int((kafka.folder / "kafka.pid").read_text())
        made = stack.enter_context(installation(Path(folder), dsn, **carrier))
        for number in range(REPS):
            made.post("handover", "/v1/reps", {"name": f"Rep {number}", "email": f"rep{number}@sales.example"})
        return asyncio.run(_each(made, broker, seconds))


async def _each(made: Installation, broker: int | None, seconds: float) -> tuple[list[Budget], dict[str, float]]:
    connection = await asyncpg.connect(made.dsn)
    looking = Looking(made, connection, Parts(made, connection.get_server_pid(), broker))
    await _load(made, "demo_requested", 20, 3, seed=1)
    await looking.until_quiet()
    before = looking.parts.worked()
    await asyncio.sleep(IDLE_SECONDS)
    idle = {part: worked / IDLE_SECONDS for part, worked in between(before, looking.parts.worked()).items()}
    found: list[Budget] = []
    for kind, rate in KINDS.items():
        patience = DONE_SECONDS + await _alone(looking, kind)
        budget: Budget | float = rate
        while isinstance(budget, float):
            budget = await _kept_up(looking, kind, budget, seconds, patience)
        found.append(budget)
    await looking.http.aclose()
    await connection.close()
    return found, idle


async def _alone(looking: Looking, kind: str) -> float:
    """In how many seconds a lead is done that comes alone: a mail waits until all is heard that was said before."""
    await looking.until_quiet()
    await _load(looking.made, kind, 1, 1, seed=int(time.perf_counter() * 10))
    posted = time.perf_counter()
    return (await looking.until_quiet()).at - posted


async def _kept_up(looking: Looking, kind: str, rate: float, seconds: float, patience: float) -> Budget | float:
    """Where more came than was done, the next rate to try: a little less than was done."""
    await looking.until_quiet()
    first_id = uuid7_at(datetime.now(UTC))
    before = await looking.look()
    taken = await _load(looking.made, kind, rate, seconds, seed=int(before.at * 10))
    posted, leads = time.perf_counter(), len(taken.seconds)
    after = await looking.until_quiet()
    if taken.refused or after.at - posted > patience:
        late = f"the last was done {after.at - posted:.1f} s later, {taken.refused} were refused"
        print(f"    {rate:.0f} a second is too much: {late}", flush=True)
        return min(SLOWER * leads / (after.at - before.at), SLOWER * rate)
    said = await _said_since(looking.connection, first_id)
    whole = after.machine - before.machine
    return Budget(
        kind=kind,
        rate=rate,
        leads=leads,
        busy=whole / (after.at - before.at) / _cores(),
        events={name: count / leads for name, count in said.items()},
        heard={name: (after.heard[name] - before.heard[name]) / leads for name in SERVICES},
        mails=(after.mails - before.mails) / leads,
        cpu={part: worked / leads * 1000 for part, worked in between(before.worked, after.worked).items()},
        whole=whole / leads * 1000,
    )


async def _load(made: Installation, kind: str, rate: float, seconds: float, seed: int) -> Measured:
    headers = f"Authorization: Bearer {KEY}\r\nX-Site-Key: pk_demo\r\n"
    return await post_at(made.ports["capture"], rate, seconds, headers, seed, activity=kind)


async def _said_since(connection: asyncpg.Connection, first_id: UUID) -> Mapping[str, int]:
    """Events by type."""
    logs = " UNION ALL ".join(f"SELECT type FROM bus.{name}_log WHERE event_id > $1" for name in SERVICES)
    rows = await connection.fetch(f"SELECT type, count(*) FROM ({logs}) l GROUP BY 1 ORDER BY 1", first_id)
    return {row["type"]: row["count"] for row in rows}


def hearers() -> dict[str, list[str]]:
    """Who hears each type of event, as the services declare it: whoever hears one of a topic hears the topic."""
    topics: dict[str, set[Topic]] = {}
    for name in SERVICES:
        service: Service[object] = import_module(f"services.{name}.app").service
        topics[name] = {event.topic for event in service.consumes}
    return {kind: [name for name in SERVICES if event.topic in topics[name]] for kind, event in EVENTS.items()}


def _figure(name: str, text: str) -> float:
    """The sum over all labels."""
    return sum(float(value) for value in re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE))


def _cores() -> int:
    return os.cpu_count() or 1


def tell(found: list[Budget], idle: Mapping[str, float]) -> None:
    who = hearers()
    for budget in found:
        print(f"  {budget.kind}: {budget.rate:.0f} a second, {budget.leads} leads, machine {budget.busy:.0%} busy")
        for kind, count in budget.events.items():
            print(f"    {kind:<46} {count:6.2f}   heard by {', '.join(who[kind]) or 'nobody'}")
        declared = sum(count * len(who[kind]) for kind, count in budget.events.items())
        heard = ", ".join(f"{name} {count:.2f}" for name, count in budget.heard.items())
        said, told = sum(budget.events.values()), sum(budget.heard.values())
        print(f"    said {said:.2f}; heard {told:.2f} of {declared:.2f}: {heard}")
        print(f"    mails {budget.mails:.2f}")
        parts = ", ".join(f"{part} {spent:.2f}" for part, spent in budget.cpu.items())
        summed = sum(budget.cpu.values())
        print(
            f"    CPU ms: {parts}; together {summed:.2f} of {budget.whole:.2f}, {summed / budget.whole:.0%}", flush=True
        )
    print(f"  idle, shares of a core: {', '.join(f'{part} {spent:.1%}' for part, spent in idle.items())}")
