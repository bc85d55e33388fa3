"""A lead's timeline, oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.insights.domain.sentences import sentence
from services.insights.schemas import TimelineItem
from shared.errors import NotFound

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection


async def require_lead(connection: Connection, lead_id: UUID) -> asyncpg.Record:
    """The lead's row. Raises `NotFound`."""
    row = await connection.fetchrow("SELECT * FROM insights.lead WHERE lead_id = $1", lead_id)
    if row is None:
        raise NotFound("no such lead")
    return row


async def read_timeline(
    connection: Connection, lead_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[TimelineItem]:
    """The next entries after that moment and event."""
    rows = await connection.fetch(
        """SELECT at, event_id, recorded, type, source, data FROM insights.timeline
            WHERE lead_id = $1 AND ($2::timestamptz IS NULL OR (at, event_id) > ($2, $3))
            ORDER BY at, event_id LIMIT $4""",
        lead_id,
        *(after or (None, None)),
        limit,
    )
    return [item_of(row) for row in rows]


def item_of(row: asyncpg.Record) -> TimelineItem:
    return TimelineItem(
        at=row["at"],
        type=row["type"],
        source=row["source"],
        summary=sentence(row["type"], row["data"]),
        recorded=row["recorded"],
        event_id=row["event_id"],
    )
