"""What is told of an offer, to the rep who was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.handover.domain.lead import SalesLead

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

TOLD = """
    o.offer_id, o.lead_id, o.rep_id, o.offered_at, o.due_at, o.route, o.why, o.state, o.ended_at,
    r.name AS rep_name, r.email AS rep_email, r.active AS rep_active,
    c.name, c.company, c.phone, c.email, c.answers, c.message, s.product, s.stage,
    l.owner, l.score, l.temperature, l.reason, l.since, l.asked_for, l.asked_at, l.offer_id AS present_offer,
    b.reason AS returned_because, b.note AS returned_note"""

JOINED = """
    JOIN handover.rep r ON r.rep_id = o.rep_id
    JOIN handover.lead l ON l.lead_id = o.lead_id
    JOIN handover.standing s ON s.lead_id = o.lead_id
    LEFT JOIN handover.card c ON c.lead_id = o.lead_id
    LEFT JOIN LATERAL (SELECT reason, note FROM handover.offer earlier
        WHERE earlier.lead_id = o.lead_id AND earlier.state = 'returned' AND earlier.offer_id <> o.offer_id
        ORDER BY earlier.ended_at DESC LIMIT 1) b ON true"""


async def find(connection: Connection, offer_id: UUID) -> asyncpg.Record | None:
    return await connection.fetchrow(f"SELECT {TOLD} FROM handover.offer o {JOINED} WHERE o.offer_id = $1", offer_id)


async def of_rep(connection: Connection, rep_id: UUID, limit: int) -> list[asyncpg.Record]:
    """The leads this rep is asked about or holds, the hottest first."""
    return await connection.fetch(
        f"""SELECT {TOLD}, count(*) OVER () AS total FROM handover.lead mine
            JOIN handover.offer o USING (offer_id) {JOINED}
            WHERE mine.listed AND NOT mine.test AND mine.owner = $1
            ORDER BY mine.rank, (-coalesce(mine.score, 0)), mine.since, mine.lead_id LIMIT $2""",
        rep_id,
        limit,
    )


async def of_lead(connection: Connection, lead_id: UUID) -> list[asyncpg.Record]:
    """All offers of a lead, the first first; none of one that is erased."""
    return await connection.fetch(
        """SELECT o.offer_id, o.rep_id AS rep, r.name AS rep_name, o.state, o.why, o.reason, o.offered_at, o.due_at,
                o.answered_at, o.ended_at
            FROM handover.offer o JOIN handover.rep r USING (rep_id) WHERE o.lead_id = $1 ORDER BY o.offered_at""",
        lead_id,
    )


def known(row: asyncpg.Record) -> SalesLead:
    """As much of the lead as its words need."""
    return SalesLead(
        score=row["score"],
        temperature=row["temperature"],
        reason=row["reason"],
        since=row["since"],
        asked_for=row["asked_for"],
        asked_at=row["asked_at"],
    )
