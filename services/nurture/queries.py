"""What nurture's API reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.nurture.domain.touch import touch_id_of
from services.nurture.journey_files import JOURNEYS
from services.nurture.schemas import TouchItem, TouchToLookAt
from shared.errors import NotFound

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection


async def touches(connection: Connection, lead_id: UUID) -> list[TouchItem]:
    """The lead's touches in the order they happened, then the one it waits for. Raises `NotFound`."""
    await standing(connection, lead_id)
    rows = await connection.fetch(
        """SELECT step, channel, state, CASE WHEN state IN ('planned', 'deferred') THEN due_at ELSE at END AS at,
               reason, journey, cycle, touch_id
           FROM nurture.touch WHERE lead_id = $1
           UNION ALL
           SELECT step, 'email', 'planned', waits_until, 'waiting', journey, cycle, NULL
           FROM nurture.enrolment WHERE lead_id = $1 AND ended_at IS NULL AND entered_at IS NOT NULL
               AND waits_until IS NOT NULL""",
        lead_id,
    )
    items = [TouchItem.model_validate({**row, "touch_id": _touch_id(row, lead_id)}) for row in rows]
    return sorted(items, key=lambda item: (item.cycle, item.at, _place(item)))


def _place(item: TouchItem) -> int:
    """Of steps that came into their state at the same moment, the earlier one in the journey goes first."""
    journey = JOURNEYS.get(item.journey)
    names = [mail.name for mail in journey.mails] if journey else []
    return names.index(item.step) if item.step in names else len(names)


def _touch_id(row: asyncpg.Record, lead_id: UUID) -> UUID:
    return row["touch_id"] or touch_id_of(lead_id, row["cycle"], row["journey"], row["step"])


async def to_look_at(
    connection: Connection, state: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[TouchToLookAt]:
    """Touches that ended in a way a person should know of, the oldest first."""
    rows = await connection.fetch(
        """SELECT step, channel, state, at, reason, journey, cycle, touch_id, lead_id, message_id FROM nurture.touch
           WHERE state = $1 AND state IN ('unknown', 'failed')
               AND ($2::timestamptz IS NULL OR (at, touch_id) > ($2, $3))
           ORDER BY at, touch_id LIMIT $4""",
        state,
        *(after or (None, None)),
        limit,
    )
    return [TouchToLookAt.model_validate(dict(row)) for row in rows]


async def standing(connection: Connection, lead_id: UUID) -> asyncpg.Record:
    """Raises `NotFound` for a lead that was never heard of, and for one that was erased."""
    row = await connection.fetchrow(
        "SELECT stage, stage_before, cycle, test FROM nurture.standing WHERE lead_id = $1 AND NOT erased", lead_id
    )
    if row is None:
        raise NotFound("no such lead")
    return row


async def held(connection: Connection, lead_id: UUID) -> dict[str, Any]:
    """Everything nurture holds of a lead, by table. Raises `NotFound`."""
    known = await standing(connection, lead_id)
    person = await connection.fetchrow("SELECT * FROM nurture.person WHERE lead_id = $1", lead_id)
    timers = await connection.fetch("SELECT name, due_at FROM nurture.timer WHERE lead_id = $1", lead_id)
    return {
        "lead_id": lead_id,
        "stage": known["stage"] or None,
        "cycle": known["cycle"],
        "test": known["test"],
        "person": dict(person) if person else {},
        "enrolments": await _rows(
            connection, "SELECT * FROM nurture.enrolment WHERE lead_id = $1 ORDER BY entered_at", lead_id
        ),
        "touches": await _rows(connection, "SELECT * FROM nurture.touch WHERE lead_id = $1 ORDER BY at", lead_id),
        "suppressions": await _rows(
            connection,
            """SELECT x.* FROM nurture.suppression x JOIN nurture.person p USING (fingerprint)
               WHERE p.lead_id = $1 ORDER BY purpose""",
            lead_id,
        ),
        "timers": {row["name"]: row["due_at"] for row in timers},
        "tended": await _rows(connection, "SELECT * FROM nurture.tended WHERE lead_id = $1 ORDER BY at", lead_id),
    }


async def _rows(connection: Connection, query: str, *arguments: object) -> Sequence[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(query, *arguments)]
