"""A handover service on a real database, with a clock that the test moves."""

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
from tests.support.sales import client, handover
from tests.support.servers import Databases

# A Tuesday, at ten in the morning.
MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def migrated_dsn(fresh_database: Databases) -> str:
    """One database for all tests of this folder: making one for each takes longer than most of them."""
    dsn = fresh_database()
    await migrate("handover", dsn)
    runtime = handover(dsn)
    async with runtime.database.transaction() as connection:
        await log.ensure_days(connection, "handover", SystemClock().now().date())
    await runtime.database.close()
    return dsn


@pytest.fixture
async def handover_dsn(migrated_dsn: str) -> AsyncGenerator[str]:
    """The database, emptied again after the test."""
    yield migrated_dsn
    connection = await asyncpg.connect(migrated_dsn)
    try:
        tables = await connection.fetch(
            """SELECT tablename FROM pg_tables
                WHERE schemaname = 'handover' AND tablename NOT IN ('alembic_version', 'born')"""
        )
        for name in ("bus.handover_log", *(f"handover.{row['tablename']}" for row in tables)):
            await connection.execute(f"DELETE FROM {name}")
    finally:
        await connection.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MORNING)


@pytest.fixture
async def runtime(handover_dsn: str, clock: SetClock) -> AsyncGenerator[Runtime[Any]]:
    runtime = handover(handover_dsn, clock)
    yield runtime
    await runtime.database.close()


@pytest.fixture
async def api(runtime: Runtime[Any]) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(runtime) as api:
        yield api
