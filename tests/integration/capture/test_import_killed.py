"""An import that is killed goes on when it is started again, and nobody can tell by its leads that it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from services.capture import sites
from shared.clock import SystemClock
from tests.support.importing import ended, imported, killed_by_and_by, numbers, some_real_leads, start_import
from tests.support.servers import Databases

ROWS, KILLS = 2000, 4


@pytest.fixture
async def dsns(fresh_database: Databases, migrated: str) -> list[str]:
    """Two databases with capture's tables and the site of the file."""
    made = [fresh_database(template=migrated) for _ in range(2)]
    for dsn in made:
        connection = await asyncpg.connect(dsn)
        await sites.seed_demo(connection, SystemClock().now())
        await connection.close()
    return made


@pytest.mark.timeout(240)
async def test_an_import_killed_again_and_again_ends_as_one_that_never_was(
    dsns: list[str], shared_data: Path, tmp_path: Path
) -> None:
    whole, broken = dsns
    file = some_real_leads(shared_data, tmp_path, ROWS)
    at_once = numbers(await asyncio.to_thread(lambda: ended(start_import(whole, file), file)))
    errors = file.with_suffix(".errors.csv")
    wrong = errors.read_bytes()
    errors.unlink()
    said, done = await asyncio.to_thread(lambda: killed_by_and_by(broken, file, kills=KILLS, seed=20261122))
    assert done == sorted(done)
    assert 0 < done[0] < ROWS, done
    resumed = numbers(said)
    assert f"{done[-1]:,} of them before the import was stopped, {ROWS - done[-1]:,} now" in said
    assert resumed.pop("of them") == done[-1]
    assert resumed == at_once
    assert at_once["new leads"] + at_once["quarantined"] == at_once["rows"] == ROWS
    assert errors.read_bytes() == wrong
    assert await imported(broken) == await imported(whole)
