"""R8: events a second from the append to the note that they were handled, against two job queues on the same server.

Each side is given the same number of items in transactions of a hundred by one process, while another takes them, does
nothing with them, and notes that; nothing of an item may be done twice or be lost by a crash. Ours also keeps the order
of each lead, and what was said stays.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from shared.clock import uuid7
from shared.database import Connection, plumbing
from shared.events.capture import ActivityRecorded
from shared.leads import Cause, Lead
from shared.log import ensure_days
from shared.service import Runtime, Service
from shared.settings import Settings

BATCH = 100
LEADS = 5_000


class Nothing:
    """A part of a lead that is nothing."""

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, None]:
        return dict.fromkeys(lead_ids)

    async def save(self, connection: Connection, leads: Sequence[Lead[None]]) -> None:
        return

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        return {}


def _heard(lead: Lead[None], event: Any, now: datetime) -> None:
    """Its number is the note that it was handled."""


SPEAKER: Service[None] = Service(name="capture", consumes={}, publishes=(ActivityRecorded,), repository=Nothing)
HEARER: Service[None] = Service(name="scoring", consumes={ActivityRecorded: _heard}, publishes=(), repository=Nothing)


def _runtime(service: Service[None], dsn: str) -> Runtime[None]:
    return Runtime(service, Settings.model_validate({"database_url": dsn, "api_key": "lk_bench"}))


class Leadline:
    async def prepare(self, dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        for service in (SPEAKER, HEARER):
            for statement in plumbing(service.name):
                await connection.execute(statement)
            async with connection.transaction():
                await ensure_days(connection, service.name, datetime.now(UTC).date())
        await connection.execute("CREATE VIEW bus.card AS SELECT lead_id, 0 AS version, '' AS body, '' AS erasure_id "
                                 "FROM capture.standing")  # fmt: skip
        await connection.close()

    async def give(self, dsn: str, count: int) -> None:
        runtime = _runtime(SPEAKER, dsn)
        leads = [uuid7() for _ in range(LEADS)]
        _begin()
        for start in range(0, count, BATCH):
            some = [leads[(start + place) % LEADS] for place in range(BATCH)]
            now = datetime.now(UTC)
            async with runtime.leads.work(some, cause=Cause(time=now), create=start < LEADS) as work:
                for lead in work.leads.values():
                    lead.say(ActivityRecorded(activity="page_viewed"))
        await runtime.database.close()

    async def take(self, dsn: str) -> None:
        runtime = _runtime(HEARER, dsn)
        runtime.prepared.set()
        runtime.migrate = _nothing  # type: ignore[method-assign] - `prepare` has made the tables
        async with runtime.running(("consume",)):
            await asyncio.Event().wait()

    done = "SELECT coalesce(sum(activity_seq), 0) FROM scoring.standing"


async def _nothing() -> None:
    return


class Procrastinate:
    def _app(self, dsn: str) -> Any:
        import procrastinate

        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))

        async def nothing(lead: str) -> None:
            return

        app.task(nothing, name="nothing")
        return app

    async def prepare(self, dsn: str) -> None:
        app = self._app(dsn)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    async def give(self, dsn: str, count: int) -> None:
        app = self._app(dsn)
        async with app.open_async():
            _begin()
            for start in range(0, count, BATCH):
                await app.configure_task("nothing").batch_defer_async(
                    *({"lead": str(start + place)} for place in range(BATCH))
                )

    async def take(self, dsn: str) -> None:
        app = self._app(dsn)
        async with app.open_async():
            await app.run_worker_async(concurrency=20, install_signal_handlers=False)

    done = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"


class PgQueuer:
    async def prepare(self, dsn: str) -> None:
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        connection = await asyncpg.connect(dsn)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    async def give(self, dsn: str, count: int) -> None:
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        connection = await asyncpg.connect(dsn)
        queries = Queries(AsyncpgDriver(connection))
        _begin()
        for start in range(0, count, BATCH):
            payloads: list[bytes | None] = [str(start + place).encode() for place in range(BATCH)]
            await queries.enqueue(["nothing"] * BATCH, payloads, [0] * BATCH)
        await connection.close()

    async def take(self, dsn: str) -> None:
        import pgqueuer
        from pgqueuer.db import AsyncpgPoolDriver

        async with asyncpg.create_pool(dsn, min_size=2, max_size=8) as pool:
            worker = pgqueuer.PgQueuer(AsyncpgPoolDriver(pool))

            @worker.entrypoint("nothing")
            async def nothing(job: Any) -> None:
                return

            await worker.run(batch_size=BATCH)

    done = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"


SIDES: dict[str, Any] = {"leadline": Leadline, "procrastinate": Procrastinate, "pgqueuer": PgQueuer}


def _begin() -> None:
    """Whoever gives says when it begins: until then it was a process that starts, as the taker was before."""
    print(time.time(), flush=True)


async def one_turn(side: str, dsn: str, count: int) -> float:
    """Items a second, from the first one given to the last one noted, on an empty database."""
    made = SIDES[side]()
    await made.prepare(dsn)
    taking = await _process("take", side, dsn)
    watching = await asyncpg.connect(dsn)
    try:
        await asyncio.sleep(2)
        giving = await _process("give", side, dsn, str(count))
        assert giving.stdout is not None
        began = float(await giving.stdout.readline())
        while await watching.fetchval(made.done) < count:
            assert taking.returncode is None, "the taker has ended"
            await asyncio.sleep(0.02)
        lasted = time.time() - began
        await giving.wait()
        return count / lasted
    finally:
        taking.kill()
        await taking.wait()
        await watching.close()


async def _process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.carrier", *arguments, stdout=asyncio.subprocess.PIPE
    )


def main() -> None:
    what, side, dsn, *count = sys.argv[1:]
    made = SIDES[side]()
    work: Callable[..., Awaitable[None]] = getattr(made, what)
    asyncio.run(work(dsn, *map(int, count)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
