"""Where a reader of the logs looks, and when: never later than it must, and not where there is nothing to see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import log
from shared.bus import reading
from shared.bus.postgres import PostgresHearer
from shared.clock import uuid7
from shared.database import Connection
from shared.events.capture import ActivityRecorded
from shared.events.codec import Stored
from shared.events.topics import lane_of
from shared.leads import Cause
from tests.support.toys import HEARER, Toy, speak, toy


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The logs that were looked into, one after the other."""
    found: list[str] = []
    read = log.read

    async def noted(connection: Connection, speaker: str, *rest: Any, **named: Any) -> list[Stored]:
        found.append(speaker)
        return await read(connection, speaker, *rest, **named)

    monkeypatch.setattr(log, "read", noted)
    return found


@pytest.fixture
def now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow turns are so seldom that no test sees one."""
    monkeypatch.setattr(reading, "SLOW_TURN_SECONDS", 1000.0)


@pytest.fixture
async def hearer(speaker: Toy) -> AsyncIterator[PostgresHearer]:
    runtime = toy(HEARER, speaker.settings.database_url)
    yield PostgresHearer(runtime)
    await runtime.database.close()


@pytest.mark.usefixtures("now_and_then")
async def test_a_backlog_is_read_without_a_rest_however_long_ago_it_was_said(
    speaker: Toy, hearer: PostgresHearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RESTLESS_SECONDS", 0.0)
    monkeypatch.setattr(hearer, "batch", 50)
    await speak(speaker, [uuid7() for _ in range(100)])
    async with hearer.database.connection() as connection:
        await hearer.begin(connection)
        taken = [await hearer.turn(connection) for _ in range(8)]
    assert sum(taken) == 400
    assert min(taken) > 0


@pytest.mark.usefixtures("now_and_then")
async def test_a_log_is_looked_into_only_where_something_was_said_that_is_yet_to_be_seen(
    speaker: Toy, hearer: PostgresHearer, monkeypatch: pytest.MonkeyPatch, looks: list[str]
) -> None:
    async with hearer.database.connection() as connection:
        await _settle(hearer, connection, monkeypatch)
        looks.clear()
        await speak(speaker, [uuid7()])
        assert [await hearer.turn(connection) for _ in range(4)] == [4, 0, 0, 0]
    assert looks == ["capture"]


@pytest.mark.usefixtures("now_and_then")
async def test_what_is_committed_late_is_looked_for_until_it_is_there(
    speaker: Toy, hearer: PostgresHearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hearer.database.connection() as connection:
        await _settle(hearer, connection, monkeypatch)
        async with speaker.database.transaction() as slow:
            now = speaker.clock.now()
            lead_id = uuid7()
            late = await speaker.leads.open(slow, [lead_id], Cause(time=now), now, create=True)
            for lead in late.leads.values():
                lead.say(ActivityRecorded(activity="page_viewed"))
            await speaker.leads.save(late)
            # Whoever shares its lane would have to wait until it is committed.
            others = [one for one in (uuid7() for _ in range(200)) if lane_of(one) != lane_of(lead_id)]
            await speak(speaker, others[:3])
            assert [await hearer.turn(connection) for _ in range(4)] == [12, 0, 0, 0]
        assert [await hearer.turn(connection) for _ in range(3)] == [1, 0, 0]


async def _settle(hearer: PostgresHearer, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the time after a start in which every log is looked into."""
    monkeypatch.setattr(reading, "RESTLESS_SECONDS", 0.0)
    await hearer.begin(connection)
    await hearer.turn(connection)
    await asyncio.sleep(0.001)
    await hearer.turn(connection)
    monkeypatch.setattr(reading, "RESTLESS_SECONDS", 1000.0)
