"""A handover service on a real database, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

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
async def handover_template(fresh_database: Databases) -> str:
    dsn = fresh_database()
    await migrate("handover", dsn)
    runtime = handover(dsn)
    async with runtime.database.transaction() as connection:
        await log.ensure_days(connection, "handover", SystemClock().now().date())
    await runtime.database.close()
    return dsn


@pytest.fixture
def handover_dsn(fresh_database: Databases, handover_template: str) -> str:
    return fresh_database(template=handover_template)


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
