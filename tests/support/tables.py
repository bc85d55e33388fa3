"""One database with a service's tables for all tests of a folder: emptying it takes a tenth of what making one does."""

from __future__ import annotations

import asyncpg

from shared import log
from shared.clock import SystemClock
from shared.migrations import migrate
from tests.support.servers import Databases


async def with_tables(service: str, fresh_database: Databases) -> str:
    """The DSN of a new database that has the tables of `service`, with room in its log for today."""
    dsn = fresh_database()
    await migrate(service, dsn)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await log.ensure_days(connection, service, SystemClock().now().date())
    finally:
        await connection.close()
    return dsn


_emptying: dict[str, asyncpg.Connection[asyncpg.Record]] = {}


async def empty_tables(service: str, dsn: str, *also_kept: str) -> None:
    """Takes every row out of the service's tables and its log; what a migration writes down of itself stays.

    By a connection that is kept until `close_all`: one that has just been made looks every table up anew.
    """
    kept = ["alembic_version", "born", *also_kept]
    connection = _emptying.get(dsn)
    if connection is None or connection.is_closed():
        connection = _emptying[dsn] = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
           WHERE schemaname = $1 AND tablename <> ALL ($2)""",
        service,
        kept,
    )
    tables = [f"bus.{service}_log", *(row["name"] for row in rows)]
    await connection.execute("; ".join(f"DELETE FROM {table}" for table in tables))


async def close_all() -> None:
    while _emptying:
        await _emptying.popitem()[1].close()
