"""An insights service on a real database, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from shared import log
from shared.clock import SetClock, SystemClock
from shared.migrations import migrate
from shared.service import Runtime
from tests.support.lives import client, insights
from tests.support.servers import Databases

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def migrated_dsn(fresh_database: Databases) -> str:
    dsn = fresh_database()
    await migrate("insights", dsn)
    runtime = insights(dsn)
    async with runtime.database.transaction() as connection:
        await log.ensure_days(connection, "insights", SystemClock().now().date())
    await runtime.database.close()
    return dsn


@pytest.fixture
async def insights_dsn(migrated_dsn: str) -> str:
    """An empty database: emptying one takes a tenth of the time that making one takes."""
    connection = await asyncpg.connect(migrated_dsn)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'insights'")
        kept = {"alembic_version", "born", "heard"}
        tables = [f"insights.{row['tablename']}" for row in rows if row["tablename"] not in kept]
        await connection.execute(f"TRUNCATE bus.insights_log, {', '.join(tables)}")
        await connection.execute("UPDATE insights.heard SET until = 'epoch'")
    finally:
        await connection.close()
    return migrated_dsn


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MORNING)


@pytest.fixture
async def runtime(insights_dsn: str, clock: SetClock) -> AsyncGenerator[Runtime[Any]]:
    runtime = insights(insights_dsn, clock)
    yield runtime
    await runtime.database.close()


@pytest.fixture
async def api(runtime: Runtime[Any]) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(runtime) as api:
        yield api
