"""All that insights holds of one lead."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.insights.timeline import require_lead

if TYPE_CHECKING:
    from shared.database import Connection

_ROWS = {
    "timeline": "SELECT at, recorded, event_id, type, source, data FROM insights.timeline WHERE lead_id = $1"
    " ORDER BY at, event_id",
    "stages": "SELECT at, seq, cycle, from_stage, to_stage, reason, value, currency, history FROM insights.flow"
    " WHERE lead_id = $1 ORDER BY seq",
    "reached": "SELECT cycle, stage, product, at, entered FROM insights.reached WHERE lead_id = $1 ORDER BY cycle, at",
    "went_back": "SELECT cycle, from_stage, to_stage, word, at, times FROM insights.went_back WHERE lead_id = $1"
    " ORDER BY cycle, at",
    "tended": "SELECT topic, seq, deed, reason, who, at FROM insights.tended WHERE lead_id = $1 ORDER BY at",
}


async def everything(connection: Connection, lead_id: UUID) -> dict[str, object]:
    """Raises `NotFound`."""
    row = await require_lead(connection, lead_id)
    # The words for searching are made of the name and the addresses beside them.
    held: dict[str, object] = {"lead": {name: value for name, value in row.items() if name != "words"}}
    for part, query in _ROWS.items():
        held[part] = [dict(found) for found in await connection.fetch(query, lead_id)]
    return held
