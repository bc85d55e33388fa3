"""R18: from the post of a demo request until the lead is on a rep's worklist, and until the rep's mail is there.

Open loop: a second's leads are posted in that second, however long the ones before take, and every wait counts from the
moment its post was due. What each part of the installation has worked meanwhile is its share of a lead.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from bench.history import until_heard
from bench.load import post_at, quantile
from bench.shares import Parts, between
from deploy.postgres import EmbeddedPostgres
from shared.clock import uuid7_at
from tests.support.installation import KEY, Installation, installation

RATES = (20, 50, 100, 500)
REPS = 20
GOAL_SECONDS = 0.4
LOOK_SECONDS = 0.01
# After the last post, for what is still on its way.
PATIENCE_SECONDS = 90.0
# A mail's row becomes visible a little after its id was made: so far back behind the last look goes each, and each
# hundredth.
LOOK_BACK = timedelta(seconds=0.1)
FAR_BACK = timedelta(seconds=10)
# Of the oldest mails that are not sent yet, so many are asked after at a time: they are sent about in order.
ASKED_AFTER = 200


@dataclass
class Arrivals:
    """Seconds from due to answered, offered and mailed; `missing` never got there. `cpu`: seconds of each part."""

    rate: float
    answered: list[float] = field(default_factory=list[float])
    offered: list[float] = field(default_factory=list[float])
    mailed: list[float] = field(default_factory=list[float])
    missing: int = 0
    cpu: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def holds(self) -> bool:
        """Whether all came, and all but a hundredth were on a worklist in time."""
        return not self.missing and quantile(self.offered, 0.99) <= GOAL_SECONDS


class Watch:
    """Sees leads come to a rep and mails go out, at the cost of what is new: a lead's offer is there with its mail."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.offered: dict[UUID, float] = {}
        self.mailed: dict[UUID, float] = {}
        self._connection = connection
        self._unsent: dict[UUID, UUID] = {}
        self._looked = datetime.now(UTC)

    async def run(self) -> None:
        for number in itertools.count():
            await self._new(FAR_BACK if number % 100 == 99 else LOOK_BACK)
            await self._sent()
            await asyncio.sleep(LOOK_SECONDS)

    async def _new(self, back: timedelta) -> None:
        since, self._looked = self._looked - back, datetime.now(UTC)
        rows = await self._connection.fetch(
            "SELECT mail_id, lead_id FROM handover.mail WHERE mail_id > $1 ORDER BY mail_id", uuid7_at(since)
        )
        now = time.perf_counter()
        for row in rows:
            if row["lead_id"] not in self.offered:
                self.offered[row["lead_id"]] = now
                self._unsent[row["mail_id"]] = row["lead_id"]

    async def _sent(self) -> None:
        asked = list(itertools.islice(self._unsent, ASKED_AFTER))
        while asked:
            rows = await self._connection.fetch(
                "SELECT mail_id FROM handover.mail WHERE mail_id = ANY($1) AND state = 'sent'", asked
            )
            now = time.perf_counter()
            for row in rows:
                self.mailed[self._unsent.pop(row["mail_id"])] = now
            asked = list(itertools.islice(self._unsent, ASKED_AFTER)) if len(rows) == len(asked) else []


def measure(rates: Sequence[float] = RATES, seconds: float = 15) -> list[Arrivals]:
    """One installation for all rates, one after the other, lowest first."""
    with _with_reps() as made:
        return [asyncio.run(_at(made, rate, seconds, seed=int(rate))) for rate in sorted(rates)]


def highest(first: float = 25, seconds: float = 8, steps: int = 3) -> list[Arrivals]:
    """What was tried to find the highest rate that holds: twice as much until it does not, then between the two."""
    tried: list[Arrivals] = []
    holds, fails = 0.0, 0.0
    with _with_reps() as made:
        rate = first
        while not fails or len(tried) < steps:
            tried.append(asyncio.run(_at(made, rate, seconds, seed=1000 + len(tried))))
            print(f"    {rate:6.1f} a second: p99 {quantile(tried[-1].offered, 0.99) * 1000:6.0f} ms", flush=True)
            if tried[-1].holds:
                holds = rate
            elif not fails:
                fails, steps = rate, len(tried) + steps
            else:
                fails = rate
            rate = (holds + fails) / 2 if fails else rate * 2
    return tried


@contextmanager
def _with_reps() -> Generator[Installation]:
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="512MB")
        dsn = postgres.start()
        try:
            with installation(Path(folder), dsn) as made:
                for number in range(REPS):
                    rep = {"name": f"Rep {number}", "email": f"rep{number}@sales.example"}
                    made.post("handover", "/v1/reps", rep)
                asyncio.run(_at(made, 20, 3, seed=1))
                yield made
        finally:
            postgres.stop()


async def _at(made: Installation, rate: float, seconds: float, seed: int) -> Arrivals:
    """Ends when everybody has heard everything, so that nothing of it is left to do beside the next."""
    due: dict[UUID, float] = {}

    def answered(moment: float, said: bytes) -> None:
        due[UUID(msgspec.json.decode(said)["lead_id"])] = moment

    connection = await asyncpg.connect(made.dsn)
    watch, parts = Watch(connection), Parts(made, connection.get_server_pid())
    before = parts.worked()
    watching = asyncio.create_task(watch.run())
    headers = f"Authorization: Bearer {KEY}\r\nX-Site-Key: pk_demo\r\n"
    posted = await post_at(
        made.ports["capture"], rate, seconds, headers, seed, activity="demo_requested", answered=answered
    )
    until = time.perf_counter() + PATIENCE_SECONDS
    while not due.keys() <= watch.mailed.keys() and time.perf_counter() < until and not watching.done():
        await asyncio.sleep(0.05)
    watching.cancel()
    ended = (await asyncio.gather(watching, return_exceptions=True))[0]
    if not isinstance(ended, asyncio.CancelledError):
        raise RuntimeError("the watch has ended") from ended
    cpu = between(before, parts.worked())
    await connection.close()
    connection = await asyncpg.connect(made.dsn)
    await until_heard(connection)
    await connection.close()
    return Arrivals(
        rate,
        posted.seconds,
        [watch.offered[lead_id] - moment for lead_id, moment in due.items() if lead_id in watch.offered],
        [watch.mailed[lead_id] - moment for lead_id, moment in due.items() if lead_id in watch.mailed],
        len(due.keys() - watch.mailed.keys()) + posted.refused,
        cpu,
    )


def tell(found: Arrivals) -> None:
    print(f"  {found.rate:.0f} a second, {len(found.answered)} posted, {found.missing} never arrived")
    for what, waits in (("answered", found.answered), ("on the worklist", found.offered), ("mailed", found.mailed)):
        p50, p99 = (quantile(waits, part) * 1000 for part in (0.5, 0.99))
        print(f"    {what:<16} p50 {p50:8.0f} ms   p99 {p99:8.0f} ms")
    shares = {part: seconds / max(len(found.answered), 1) * 1000 for part, seconds in found.cpu.items()}
    print(f"    CPU ms a lead: {', '.join(f'{part} {share:.1f}' for part, share in shares.items())}", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench.to_sales", description=__doc__)
    asked.add_argument("rates", nargs="*", type=float, help="posts a second; the highest that holds when none is said")
    asked.add_argument("--seconds", type=float, default=8)
    given = asked.parse_args()
    if given.rates:
        for found in measure(given.rates, given.seconds):
            tell(found)
    else:
        print(f"  {max((one.rate for one in highest(seconds=given.seconds) if one.holds), default=0):.1f} holds")


if __name__ == "__main__":
    main()
