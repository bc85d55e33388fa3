"""An insights service on a real database, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from shared.service import Runtime
from tests.support.lives import client, insights
from tests.support.servers import Databases
from tests.support.set_clock import SetClock
from tests.support.tables import close_all, empty_tables, with_tables

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def migrated_dsn(fresh_database: Databases) -> AsyncGenerator[str]:
    yield await with_tables("insights", fresh_database)
    await close_all()


@pytest.fixture
async def insights_dsn(migrated_dsn: str) -> AsyncGenerator[str]:
    yield migrated_dsn
    await empty_tables("insights", migrated_dsn, "heard")
    connection = await asyncpg.connect(migrated_dsn)
    await connection.execute("UPDATE insights.heard SET until = 'epoch'")
    await connection.close()


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
