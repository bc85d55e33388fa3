"""What insights made of events is taken away and made anew from them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from services.insights.emptying import PROJECTIONS, empty
from shared.events.codec import Stored
from shared.events.handover import Offered
from shared.events.scoring import ScoreChanged
from shared.service import Runtime
from tests.support.lives import Life, hear

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)


async def dump(runtime: Runtime[Any]) -> dict[str, list[str]]:
    """All rows, but for the number under which a stage change came in."""
    async with runtime.database.connection() as connection:
        found = {table: await connection.fetch(f"SELECT * FROM insights.{table}") for table in PROJECTIONS}
    return {
        table: sorted(repr([(name, value) for name, value in row.items() if name != "pos"]) for row in rows)
        for table, rows in found.items()
    }


def lives(count: int, dice: random.Random) -> list[Stored]:
    told: list[Stored] = []
    for number in range(count):
        life = Life(MORNING, email=f"p{number}@norrvik.example", source=dice.choice(["google", "fair"]))
        told += [life.card(), *life.wander(dice, 6), life.did("asset_downloaded", asset="guide")]
        score = ScoreChanged(
            score=12.0, fit=2.0, engagement=10.0, grade="C", temperature="warm", cycle=1, rules_version=1
        )
        told += [life.say(score), life.say(Offered(offer_id="one", rep="ida"))]
        if number % 7 == 0:
            told.append(life.erased())
    return told


async def test_what_is_made_anew_equals_what_it_was_and_who_was_erased_stays_so(runtime: Runtime[Any]) -> None:
    dice = random.Random(20261122)
    first, later = lives(30, dice), lives(10, dice)
    await hear(runtime, first)
    await hear(runtime, later)
    lived = await dump(runtime)
    assert all(lived[table] for table in PROJECTIONS if table != "market_day")
    async with runtime.database.transaction() as connection:
        await empty(connection)
        assert await connection.fetchval("SELECT count(*) FROM insights.lead") == 0
        said = await connection.fetchval("SELECT count(*) FROM bus.insights_log")
    await hear(runtime, later)  # they come in while the first are read again
    for part in range(0, len(first), 7):
        await hear(runtime, first[part : part + 7])
    assert await dump(runtime) == lived
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM bus.insights_log") == said
        assert await connection.fetchval("SELECT count(*) FROM insights.held") == 0
