"""A capture service for each test, on a database that was emptied for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from tests.support.capturing import Capturing, capturing
from tests.support.servers import Databases
from tests.support.set_clock import SetClock
from tests.support.tables import close_all, empty_tables, with_tables

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
async def migrated(fresh_database: Databases) -> str:
    """A database with capture's tables, to be copied."""
    return await with_tables("capture", fresh_database)


@pytest.fixture(scope="session")
async def shared_dsn(fresh_database: Databases, migrated: str) -> AsyncGenerator[str]:
    yield fresh_database(template=migrated)
    await close_all()


@pytest.fixture
async def dsn(shared_dsn: str) -> AsyncGenerator[str]:
    yield shared_dsn
    await empty_tables("capture", shared_dsn)


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
