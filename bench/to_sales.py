"""R18: from the post of a demo request until the lead is on a rep's worklist, and until the rep's mail is there.

Open loop: a second's leads are posted in that second, however long the ones before take, and every wait counts from the
moment its post was due. The database is asked a hundred times a second which of them have got there. What each part of
the installation has worked meanwhile is its share of a lead.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
import psutil

from bench.load import post_at
from deploy.postgres import EmbeddedPostgres
from shared.events.topics import SERVICES
from tests.support.installation import KEY, Installation, installation

REPS = 20
LOOK_SECONDS = 0.01
# After the last post, for what is still on its way.
PATIENCE_SECONDS = 60.0


@dataclass
class Arrivals:
    """Seconds from due to answered, offered and mailed; `missing` never got there. `cpu`: seconds of each part."""

    rate: float
    answered: list[float] = field(default_factory=list[float])
    offered: list[float] = field(default_factory=list[float])
    mailed: list[float] = field(default_factory=list[float])
    missing: int = 0
    cpu: dict[str, float] = field(default_factory=dict[str, float])


def measure(rates: tuple[float, ...] = (20, 50, 100, 500), seconds: float = 15) -> list[Arrivals]:
    """One installation for all rates, one after the other, lowest first."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="512MB")
        dsn = postgres.start()
        try:
            with installation(Path(folder), dsn) as made:
                for number in range(REPS):
                    rep = {"name": f"Rep {number}", "email": f"rep{number}@sales.example"}
                    made.post("handover", "/v1/reps", rep)
                asyncio.run(_at(made, 20, 3, seed=1))
                return [asyncio.run(_at(made, rate, seconds, seed=int(rate))) for rate in sorted(rates)]
        finally:
            postgres.stop()


async def _at(made: Installation, rate: float, seconds: float, seed: int) -> Arrivals:
    found, waiting = Arrivals(rate), dict[UUID, float]()

    def answered(due: float, said: bytes) -> None:
        waiting[UUID(msgspec.json.decode(said)["lead_id"])] = due

    connection = await asyncpg.connect(made.dsn)
    watching = asyncio.create_task(_watch(connection, waiting, found))
    headers = f"Authorization: Bearer {KEY}\r\nX-Site-Key: pk_demo\r\n"
    before = _worked(made)
    posted = await post_at(
        made.ports["capture"], rate, seconds, headers, seed, activity="demo_requested", answered=answered
    )
    until = time.perf_counter() + PATIENCE_SECONDS
    while waiting and time.perf_counter() < until:
        await asyncio.sleep(LOOK_SECONDS)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await connection.close()
    found.cpu = {part: worked - before[part] for part, worked in _worked(made).items()}
    found.answered, found.missing = posted.seconds, len(waiting) + posted.refused
    return found


def _worked(made: Installation) -> dict[str, float]:
    """CPU seconds that each service and the database have worked, by the processes they have now."""
    found: dict[str, float] = {}
    for service in SERVICES:
        times = psutil.Process(made.process_of(service)).cpu_times()
        found[service] = times.user + times.system
    servers = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]
    found["PostgreSQL"] = sum(times.user + times.system for times in (one.cpu_times() for one in servers))
    return found


async def _watch(connection: asyncpg.Connection, waiting: dict[UUID, float], found: Arrivals) -> None:
    """A lead leaves `waiting` with its mail."""
    offered: set[UUID] = set()
    while True:
        rows = await connection.fetch(
            """SELECT o.lead_id, bool_or(m.state = 'sent') AS mailed FROM handover.offer o
               LEFT JOIN handover.mail m USING (offer_id) WHERE o.lead_id = ANY($1) GROUP BY 1""",
            list(waiting),
        )
        now = time.perf_counter()
        for row in rows:
            lead_id = row["lead_id"]
            if lead_id not in offered:
                offered.add(lead_id)
                found.offered.append(now - waiting[lead_id])
            if row["mailed"]:
                found.mailed.append(now - waiting.pop(lead_id))
        await asyncio.sleep(LOOK_SECONDS)
