"""The feed: every stage change and all that handover says, in one order that readers can go through from any place.

Positions are given by one writer at a time, under a lock that is held until they are committed, so that a position
once seen has none before it still to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from services.handover.cloud_event import to_json
from shared.events.envelope import Envelope, Event
from shared.events.topics import Topic

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

FEED_LOCK = 7810
TOPICS = frozenset({Topic.STAGE, Topic.HANDOVER})

_encoder = msgspec.json.Encoder()


async def append(connection: Connection, events: Sequence[Envelope[Event]]) -> None:
    """Add what belongs in the feed, near the end of the transaction that makes it true."""
    fed = [event for event in events if event.topic in TOPICS]
    if not fed:
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", FEED_LOCK)
    # A statement of its own: only one that begins under the lock sees the last position.
    await connection.execute(
        """INSERT INTO handover.feed (pos, event_id, lead_id, type, fed_at, event)
            SELECT coalesce(last.pos, 0) + row.place, row.event_id, row.lead_id, row.type,
                greatest(clock_timestamp(), last.fed_at), row.event
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY
                AS row(event_id, lead_id, type, event, place)
            LEFT JOIN (SELECT pos, fed_at FROM handover.feed ORDER BY pos DESC LIMIT 1) last ON true""",
        [event.id for event in fed],
        [event.lead_id for event in fed],
        [event.type for event in fed],
        [_encoder.encode(to_json(event)).decode() for event in fed],
    )


async def last(connection: Connection) -> int:
    """The last position given, 0 for none."""
    pos: int | None = await connection.fetchval("SELECT max(pos) FROM handover.feed")
    return pos or 0


async def before(connection: Connection, moment: datetime) -> int:
    """The position after which everything fed since that moment lies; nothing recorded since lies before it."""
    pos: int | None = await connection.fetchval(
        "SELECT pos FROM handover.feed WHERE fed_at >= $1 ORDER BY fed_at, pos LIMIT 1", moment
    )
    return (pos - 1) if pos is not None else await last(connection)


async def page(connection: Connection, after: int, limit: int) -> list[asyncpg.Record]:
    return await connection.fetch(
        "SELECT pos, type, event FROM handover.feed WHERE pos > $1 ORDER BY pos LIMIT $2", after, limit
    )
