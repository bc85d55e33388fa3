"""A capture service for each test, on a database that was emptied for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import asyncpg
import pytest

from shared import log
from shared.clock import SetClock, SystemClock
from shared.migrations import migrate
from tests.support.capturing import Capturing, capturing
from tests.support.servers import Databases

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
async def migrated(fresh_database: Databases) -> str:
    """A database with capture's tables, to be copied."""
    dsn = fresh_database()
    await migrate("capture", dsn)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await log.ensure_days(connection, "capture", SystemClock().now().date())
    await connection.close()
    return dsn


@pytest.fixture(scope="session")
def shared_dsn(fresh_database: Databases, migrated: str) -> str:
    return fresh_database(template=migrated)


@pytest.fixture
async def dsn(shared_dsn: str) -> AsyncGenerator[str]:
    """An empty database with capture's tables. Emptying it takes a tenth of the time that a new one does."""
    yield shared_dsn
    connection = await asyncpg.connect(shared_dsn)
    tables = await connection.fetch(
        """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
           WHERE schemaname = 'capture' AND tablename NOT IN ('alembic_version', 'born')"""
    )
    await connection.execute(";".join(f"DELETE FROM {row['name']}" for row in tables) + "; DELETE FROM bus.capture_log")
    await connection.close()


@pytest.fixture
def own_dsn(fresh_database: Databases, migrated: str) -> str:
    """As `dsn`, for a test that changes the tables themselves."""
    return fresh_database(template=migrated)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
async def capture(dsn: str, clock: SetClock) -> AsyncGenerator[Capturing]:
    async with capturing(dsn, clock) as made:
        yield made


@pytest.fixture(scope="module")
async def standing(fresh_database: Databases, migrated: str) -> AsyncGenerator[Capturing]:
    """One service for all tests of a module: for those that change nothing the others look at."""
    async with capturing(fresh_database(template=migrated), SetClock(NOW)) as made:
        yield made
