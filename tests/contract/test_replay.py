"""What is told again from the logs: on both carriers, to services that run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import pytest

from deploy.replay import CannotReplay, moment_of, topic_named
from shared.clock import EPOCH, uuid7
from shared.events.topics import lane_of
from tests.support.line import Line, Verdict, verdict
from tests.support.telling import leadline, speaking
from tests.support.toys import speak

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


async def missed(line: Line, leads: Sequence[UUID]) -> None:
    """Each of these leads does something that its hearer, on Kafka the topic, never gets; nothing runs meanwhile."""
    table = "capture.reading WHERE reader = 'relay'" if line.bootstrap else "scoring.reading WHERE reader = 'hear'"
    async with speaking(line) as speaker:
        await speak(speaker, leads, "missed")
    name, _, which = table.partition(" WHERE ")
    await line.fetch(f"UPDATE {name} SET pos = (SELECT last_value FROM bus.capture_pos) WHERE {which}")


async def test_an_event_that_never_arrived_is_brought_by_a_replay_to_a_service_that_runs(line: Line) -> None:
    first = uuid7()
    # By PostgreSQL a lead's events are brought again with those of its whole lane.
    others = (lead for lead in iter(uuid7, None) if lane_of(lead) != lane_of(first))
    leads = [first, *islice(others, 39)]
    hearer = line.start("hear")
    async with speaking(line, "relay") as speaker:
        await speak(speaker, leads)
        await line.until_all_heard()
    hearer.terminate()
    await asyncio.to_thread(hearer.wait, 30)
    await missed(line, leads)
    line.start("hear")
    held = "SELECT count(DISTINCT lead_id) FROM scoring.held WHERE reason = 'gap'"
    async with speaking(line, "relay") as speaker:
        await speak(speaker, leads, "after")
        assert await line.until(held, 40) == 40
        said = await leadline(line, "replay", "activity", "--lead", str(leads[0]))
        assert re.search("^3 events of leads.activity", said, re.MULTILINE)
        assert await line.until(held, 39) == 39
        said = await leadline(line, "replay", "leads.activity", "--since", "10m")
        assert re.search("^120 events of leads.activity", said, re.MULTILINE)
        assert await line.until(held, 0) == 0
        # The hearer goes on as ever.
        await speak(speaker, leads, "later")
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=40 * 6)


async def test_a_replay_of_a_lead_nobody_knows_is_refused(toy_dsn: str) -> None:
    line = Line(toy_dsn, None, "")
    with pytest.raises(AssertionError, match="has ever said anything of lead"):
        await leadline(line, "replay", "activity", "--lead", str(uuid7()))


def test_a_time_is_a_date_a_moment_or_how_long_ago() -> None:
    assert moment_of("", NOW) == EPOCH
    assert moment_of("2026-11-21", NOW) == datetime(2026, 11, 21, tzinfo=UTC)
    assert moment_of("2026-11-21T14:30Z", NOW) == datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    assert moment_of("2026-11-21T14:30+02:00", NOW) == datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    assert moment_of("90m", NOW) == NOW - timedelta(minutes=90)
    assert moment_of("9999w", NOW) == EPOCH


@pytest.mark.parametrize("words", ["last week", "21.11.2026", "5 fortnights", "2026-13-01", "2026-11-23"])
def test_a_time_that_cannot_be_read_or_is_still_to_come_is_refused_in_words(words: str) -> None:
    with pytest.raises(CannotReplay, match=words):
        moment_of(words, NOW)


def test_an_unknown_topic_is_refused_with_those_there_are() -> None:
    assert topic_named("stage") == topic_named("leads.stage") == "leads.stage"
    with pytest.raises(CannotReplay, match=r"no topic 'stages'; there are leads\.card, leads\.activity"):
        topic_named("stages")
