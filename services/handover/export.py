"""All that handover holds of a lead, for the person it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from shared.database import Connection

_ONE = ("standing", "lead", "card")
_MANY = {"offers": ("offer", "offered_at"), "mails": ("mail", "created_at"), "timers": ("timer", "due_at"),
         "tended": ("tended", "at")}  # fmt: skip


async def of_lead(connection: Connection, lead_id: UUID) -> dict[str, Any] | None:
    """By table; `events` are what the feed tells of the lead. None when nothing is held."""
    erased = await connection.fetchval("SELECT erased FROM handover.standing WHERE lead_id = $1", lead_id)
    if erased is None or erased:
        return None
    held: dict[str, Any] = {"lead_id": str(lead_id)}
    for table in _ONE:
        held[table] = await connection.fetchval(
            f"SELECT to_jsonb(t) - 'lead_id' FROM handover.{table} t WHERE lead_id = $1", lead_id
        )
    for name, (table, order) in _MANY.items():
        held[name] = await connection.fetchval(
            f"""SELECT coalesce(jsonb_agg(to_jsonb(t) - 'lead_id' ORDER BY {order}), '[]')
                FROM handover.{table} t WHERE lead_id = $1""",
            lead_id,
        )
    rows = await connection.fetch("SELECT event FROM handover.feed WHERE lead_id = $1 ORDER BY pos", lead_id)
    held["events"] = [msgspec.json.decode(row["event"]) for row in rows]
    return held
