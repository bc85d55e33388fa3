"""Up to when everything was heard: every number says as of when it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.database import is_transient
from shared.events.topics import LANES

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

# Written down for processes that serve without hearing; well below the ten seconds that count as fresh.
EVERY_SECONDS = 3.0


async def heard_until(runtime: Runtime[Any], connection: Connection) -> datetime:
    """From memory where this very process hears all lanes."""
    marks = dict(runtime.progress.marks)
    if len(marks) == LANES:
        return min(marks.values())
    until: datetime = await connection.fetchval("SELECT min(until) FROM insights.heard")
    return until


async def keep_marks(runtime: Runtime[Any]) -> None:
    """Write down how far this process has heard, for ever."""
    written: Mapping[int, datetime] = {}
    while True:
        marks = dict(runtime.progress.marks)
        if marks and marks != written:
            try:
                await _write(runtime, marks)
                written = marks
            except Exception as error:
                if not is_transient(error):
                    raise
        await asyncio.sleep(EVERY_SECONDS)


async def _write(runtime: Runtime[Any], marks: Mapping[int, datetime]) -> None:
    async with runtime.database.connection() as connection:
        await connection.execute(
            """UPDATE insights.heard h SET until = new.until
                FROM unnest($1::smallint[], $2::timestamptz[]) AS new(lane, until)
                WHERE h.lane = new.lane AND h.until < new.until""",
            list(marks.keys()),
            list(marks.values()),
        )
