"""A handover service on a real database, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.service import Runtime
from tests.support.sales import client, handover
from tests.support.servers import Databases
from tests.support.set_clock import SetClock
from tests.support.tables import close_all, empty_tables, with_tables

# A Tuesday, at ten in the morning.
MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def migrated_dsn(fresh_database: Databases) -> AsyncGenerator[str]:
    yield await with_tables("handover", fresh_database)
    await close_all()


@pytest.fixture
async def handover_dsn(migrated_dsn: str) -> AsyncGenerator[str]:
    yield migrated_dsn
    await empty_tables("handover", migrated_dsn)


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
