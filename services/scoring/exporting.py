"""All that scoring holds of a lead, as data: for the lead's right to see it, and for whoever looks into a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from shared.errors import NotFound

if TYPE_CHECKING:
    from shared.database import Connection


async def everything(connection: Connection, lead_id: UUID) -> dict[str, Any]:
    """The row, the points history as written, the facts, what the card told, and what the lead was when.

    Raises `NotFound`.
    """
    standing = await connection.fetchrow("SELECT * FROM scoring.standing WHERE lead_id = $1 AND NOT erased", lead_id)
    if standing is None:
        raise NotFound("no such lead")
    state = await connection.fetchrow("SELECT * FROM scoring.state WHERE lead_id = $1", lead_id)
    return {
        "lead_id": lead_id,
        "standing": dict(standing),
        "state": {**state, "memory": msgspec.json.decode(state["memory"])} if state else None,
        "entries": await _rows(connection, "entry", "id", lead_id),
        "activities": await _rows(connection, "fact", "at, event_id", lead_id),
        "card": await _rows(connection, "card", "lead_id", lead_id),
        "marks": await _rows(connection, "mark", "number", lead_id),
        "timers": await _rows(connection, "timer", "name", lead_id),
        "held": await _rows(connection, "held", "number", lead_id),
        "tended": await _rows(connection, "tended", "at", lead_id),
    }


async def _rows(connection: Connection, table: str, order: str, lead_id: UUID) -> list[dict[str, Any]]:
    rows = await connection.fetch(f"SELECT * FROM scoring.{table} WHERE lead_id = $1 ORDER BY {order}", lead_id)
    return [dict(row) for row in rows]
