"""A nurture service on a real database with a real mail server, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.support.nurturing import Nurture, client, nurture
from tests.support.servers import Databases
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox, inbox
from tests.support.tables import close_all, empty_tables, with_tables

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
async def migrated_dsn(fresh_database: Databases) -> AsyncGenerator[str]:
    yield await with_tables("nurture", fresh_database)
    await close_all()


@pytest.fixture
async def nurture_dsn(migrated_dsn: str) -> AsyncGenerator[str]:
    yield migrated_dsn
    await empty_tables("nurture", migrated_dsn)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MORNING)


@pytest.fixture
async def mails() -> AsyncGenerator[Inbox]:
    async with inbox() as kept:
        yield kept


@pytest.fixture
async def house(nurture_dsn: str, clock: SetClock, mails: Inbox, tmp_path: Path) -> AsyncGenerator[Nurture]:
    """Nurture that sends to the mail server of the test."""
    made = nurture(nurture_dsn, clock, tmp_path, smtp_url=mails.url)
    yield made
    await made.sender.close()
    await made.runtime.database.close()


@pytest.fixture
async def home(nurture_dsn: str, clock: SetClock, tmp_path: Path) -> AsyncGenerator[Nurture]:
    """Nurture without a mail server, as a newcomer runs it."""
    made = nurture(nurture_dsn, clock, tmp_path)
    yield made
    await made.sender.close()
    await made.runtime.database.close()


@pytest.fixture
async def api(house: Nurture) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(house.runtime) as api:
        yield api
