"""A scoring service on a real database, with a clock that the test moves."""

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
from tests.support.scored_leads import Heard, client, scoring
from tests.support.servers import Databases

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def scoring_template(fresh_database: Databases) -> str:
    dsn = fresh_database()
    await migrate("scoring", dsn)
    runtime = scoring(dsn)
    async with runtime.database.transaction() as connection:
        await log.ensure_days(connection, "scoring", SystemClock().now().date())
    await runtime.database.close()
    return dsn


@pytest.fixture
def scoring_dsn(fresh_database: Databases, scoring_template: str) -> str:
    return fresh_database(template=scoring_template)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MORNING)


@pytest.fixture
async def runtime(scoring_dsn: str, clock: SetClock) -> AsyncGenerator[Runtime[Any]]:
    runtime = scoring(scoring_dsn, clock)
    yield runtime
    await runtime.database.close()


@pytest.fixture
async def api(runtime: Runtime[Any]) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(runtime) as api:
        yield api


@pytest.fixture
def lead(clock: SetClock) -> Heard:
    return Heard(clock)
