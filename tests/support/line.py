"""A line from toy speaker to toy hearer, every part a process of its own, over one of the two carriers."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import asyncpg

from tests.support.forked import Forked, fork


@dataclass
class Line:
    """`bootstrap` is None on the PostgreSQL carrier."""

    dsn: str
    bootstrap: str | None
    prefix: str
    running: list[Forked] = field(default_factory=list)
    output: Path = field(default_factory=lambda: Path(tempfile.mkstemp(prefix="leadline-line-", suffix=".log")[1]))

    @property
    def carrier(self) -> str:
        return "kafka" if self.bootstrap else "postgres"

    def start(self, role: str, **env: str) -> Forked:
        """Start a process of the line: `hear`, or on Kafka also `relay`."""
        with self.output.open("ab") as output:
            given = {"TOY_DSN": self.dsn, "TOY_KAFKA": self.bootstrap or "", "TOY_PREFIX": self.prefix} | env
            process = fork("tests.support.toy_process", role, env=os.environ | given, output=output)
        self.running.append(process)
        return process

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.running.clear()

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        async with self._connection() as connection:
            return list(await connection.fetch(query, *values))

    async def until(self, query: str, wanted: object, seconds: float = 60) -> object:
        """Ask until the first value of the answer is what is wanted, or time is up; answers the last value."""
        deadline = time.monotonic() + seconds
        async with self._connection() as connection:
            while True:
                value = await connection.fetchval(query)
                if value == wanted or time.monotonic() > deadline:
                    return value
                await asyncio.sleep(0.05)

    async def until_all_heard(self, seconds: float = 60) -> None:
        """Wait until every numbered event in the logs has had its effect; time running out is for the checks to see."""
        heard = """SELECT (SELECT count(*) FROM scoring.effect WHERE topic <> 'leads.card')
            >= (SELECT count(*) FROM bus.capture_log WHERE topic IN ('leads.activity', 'leads.stage'))
             + (SELECT count(*) FROM bus.scoring_log WHERE topic = 'leads.activity')"""
        await self.until(heard, True, seconds)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()


@dataclass(frozen=True)
class Verdict:
    lost: int
    doubled: int
    disordered: int
    effects: int


async def verdict(line: Line) -> Verdict:
    """Compare what was said with what had an effect, event by event and lead by lead."""
    said = await line.fetch("SELECT lead_id, topic, seq FROM bus.capture_log WHERE topic <> 'leads.card'")
    done = await line.fetch(
        "SELECT lead_id, topic, seq FROM scoring.effect WHERE topic <> 'leads.card' ORDER BY number"
    )
    wanted = {(row["lead_id"], row["topic"], row["seq"]) for row in said}
    orders: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for row in done:
        orders[row["lead_id"], row["topic"]].append(row["seq"])
    happened = [(lead, topic, seq) for (lead, topic), seqs in orders.items() for seq in seqs]
    return Verdict(
        lost=len(wanted - set(happened)),
        doubled=len(happened) - len(set(happened)),
        disordered=sum(_falls(seqs) for seqs in orders.values()),
        effects=len(happened),
    )


def _falls(seqs: Sequence[int]) -> int:
    return sum(later < earlier for earlier, later in pairwise(seqs))
