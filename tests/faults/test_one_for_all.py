"""A lead that fails, or of which there is far too much, costs the others nothing. On each carrier."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from shared.clock import uuid7
from tests.support.line import Line, verdict
from tests.support.toys import SPEAKER, speak, toy

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ROUNDS = 60
# A hair on two busy cores is worth more than the difference that we look for.
MARGIN = 0.1


@asynccontextmanager
async def speaking(line: Line) -> AsyncGenerator[Any]:
    speaker = toy(SPEAKER, line.dsn, line.bootstrap, line.prefix)
    async with speaker.running(("relay",)):
        await speaker.prepared.wait()
        yield speaker


async def _rounds(speaker: Any, leads: Sequence[UUID], word: str, *more: tuple[UUID, str, int]) -> None:
    """Forty events twenty times a second; with `more` also some of another lead, so many in every round."""
    for _ in range(ROUNDS):
        await speak(speaker, leads, word)
        for lead, said, times in more:
            for _ in range(times):
                await speak(speaker, [lead], said)
        await asyncio.sleep(0.05)


async def _waits(line: Line, leads: Sequence[UUID], word: str) -> list[float]:
    """Seconds from the record of each such event (its id begins with its milliseconds) to its effect."""
    rows = await line.fetch(
        """SELECT extract(epoch FROM at)::float8
               - ('x' || translate(left(event_id::text, 13), '-', ''))::bit(48)::bigint / 1000.0 AS seconds
           FROM scoring.effect WHERE word = $1 AND lead_id = ANY($2) AND topic = 'leads.activity'""",
        word,
        leads,
    )
    return sorted(float(row["seconds"]) for row in rows)


async def test_a_lead_that_fails_and_a_lead_with_a_fifth_of_all_events_make_nobody_else_wait(line: Line) -> None:
    leads = [uuid7() for _ in range(40)]
    cursed, hot = uuid7(), uuid7()
    line.start("hear", TOY_BROKEN_WORDS="cursed")
    async with speaking(line) as speaker:
        await speak(speaker, [*leads, cursed, hot])
        await line.until_all_heard()
        await _rounds(speaker, leads, "calm")
        await line.until_all_heard()
        await _rounds(speaker, leads, "beside", (cursed, "cursed", 1), (hot, "hot", 10))
        wanted = ROUNDS * len(leads)
        assert await line.until("SELECT count(*) FROM scoring.effect WHERE word = 'beside'", wanted) == wanted
        hot_heard = "SELECT count(*) FROM scoring.effect WHERE word = 'hot'"
        assert await line.until(hot_heard, ROUNDS * 10) == ROUNDS * 10
        assert await line.until("SELECT count(*) FROM scoring.held", ROUNDS) == ROUNDS
        held = await line.fetch("SELECT DISTINCT lead_id FROM scoring.held")
        assert [row["lead_id"] for row in held] == [cursed]
        # The rule is mended, and somebody lets the lead go on.
        line.stop()
        line.start("hear")
        await line.fetch("UPDATE scoring.held SET retry_at = now()")
        assert await line.until("SELECT count(*) FROM scoring.held", 0) == 0
    calm, beside = await _waits(line, leads, "calm"), await _waits(line, leads, "beside")
    own = await _waits(line, [hot], "hot")
    print(
        f"  {line.carrier}: p99 of the others {_p99(calm) * 1000:.0f} ms before, {_p99(beside) * 1000:.0f} ms beside; "
        f"of the hot lead {_p99(own) * 1000:.0f} ms (medians {statistics.median(calm) * 1000:.0f}, "
        f"{statistics.median(beside) * 1000:.0f}, {statistics.median(own) * 1000:.0f})"
    )
    found = await verdict(line)
    assert (found.lost, found.doubled, found.disordered) == (0, 0, 0)
    assert _p99(beside) <= 2 * _p99(calm) + MARGIN


def _p99(seconds: Sequence[float]) -> float:
    return seconds[int(len(seconds) * 0.99)]
