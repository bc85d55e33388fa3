"""A nurture service on a real database with a real mail server, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest

from shared import log
from shared.clock import SetClock, SystemClock
from shared.migrations import migrate
from tests.support.nurturing import Nurture, client, nurture
from tests.support.servers import Databases
from tests.support.smtp import Inbox, inbox

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


TABLES = ("person", "enrolment", "touch", "suppression", "standing", "timer", "held", "undecodable", "reading")


@pytest.fixture(scope="session")
async def nurture_database(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> str:
    dsn = fresh_database()
    await migrate("nurture", dsn)
    made = nurture(dsn, SetClock(MORNING), tmp_path_factory.mktemp("nurture"))
    async with made.runtime.database.transaction() as connection:
        await log.ensure_days(connection, "nurture", SystemClock().now().date())
    await made.runtime.database.close()
    return dsn


@pytest.fixture
async def nurture_dsn(nurture_database: str) -> str:
    """Empty tables: emptied rather than made anew, which takes a hundred times as long."""
    connection = await asyncpg.connect(nurture_database)
    await connection.execute("; ".join(["DELETE FROM bus.nurture_log", *(f"DELETE FROM nurture.{t}" for t in TABLES)]))
    await connection.close()
    return nurture_database


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
    made = nurture(nurture_dsn, clock, tmp_path, mail_page=True)
    yield made
    await made.sender.close()
    await made.runtime.database.close()


@pytest.fixture
async def api(house: Nurture) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(house.runtime) as api:
        yield api
