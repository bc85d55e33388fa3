"""What operators look up: cards, exports, doubts, and what was put aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec

from shared.errors import NotFound
from shared.events.capture import CardChanged
from shared.events.topics import SERVICES

if TYPE_CHECKING:
    from shared.database import Connection

# All that capture holds of a lead, by table; `$1` is the lead.
_EXPORTED: Mapping[str, str] = {
    "lead": "SELECT version, body AS card FROM capture.lead WHERE lead_id = $1",
    "standing": "SELECT * FROM capture.standing WHERE lead_id = $1",
    "identity": "SELECT key, has_email FROM capture.identity WHERE lead_id = $1 ORDER BY key",
    "submission": "SELECT * FROM capture.submission WHERE lead_id = $1 ORDER BY submission_id",
    "note": "SELECT * FROM capture.note WHERE lead_id = $1 ORDER BY at",
    "consent_record": "SELECT * FROM capture.consent_record WHERE lead_id = $1 ORDER BY number",
    "visitor": "SELECT site, visitor_id, seen_at FROM capture.visitor WHERE lead_id = $1",
    "import_lead": "SELECT run_id FROM capture.import_lead WHERE lead_id = $1",
    "review": "SELECT * FROM capture.review WHERE lead_id = $1 OR other_id = $1 ORDER BY review_id",
    "stage_heard": "SELECT seq, event_id, attributes, body FROM capture.stage_heard WHERE lead_id = $1 ORDER BY seq",
    "timer": "SELECT name, due_at FROM capture.timer WHERE lead_id = $1",
    "tended": "SELECT topic, seq, deed, reason, who, at FROM capture.tended WHERE lead_id = $1 ORDER BY at",
}
# These columns hold JSON as text, which a reader of an export would rather have as it is.
_JSON = frozenset({"card", "body", "attributes"})


async def card(connection: Connection, lead_id: UUID) -> dict[str, Any]:
    """The card with where the lead stands. Raises `NotFound`, also for a lead that was erased."""
    row = await connection.fetchrow(
        """SELECT l.body, s.stage, s.cycle, s.site, s.product, s.test FROM capture.lead l
           JOIN capture.standing s USING (lead_id) WHERE lead_id = $1 AND l.body IS NOT NULL""",
        lead_id,
    )
    if row is None:
        raise NotFound("no such lead")
    said = msgspec.json.decode(row["body"], type=CardChanged)
    standing = {name: row[name] for name in ("stage", "cycle", "site", "product", "test")}
    reach = {"email": said.reach("email"), "phone": said.reach("phone")}
    return {"lead_id": lead_id, **standing, **reach, **msgspec.to_builtins(said, builtin_types=(datetime,))}


async def export(connection: Connection, lead_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Every row that holds something of the lead. Raises `NotFound`, also for a lead that was erased."""
    living = await connection.fetchval("SELECT true FROM capture.lead WHERE lead_id = $1 AND body IS NOT NULL", lead_id)
    if not living:
        raise NotFound("no such lead")
    return {table: [_told(row) for row in await connection.fetch(sql, lead_id)] for table, sql in _EXPORTED.items()}


def _told(row: asyncpg.Record) -> dict[str, Any]:
    return {name: msgspec.json.decode(value) if name in _JSON and value else value for name, value in row.items()}


async def reviews(connection: Connection, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The latest first; `after` is the last one of the page before."""
    return await connection.fetch(
        """SELECT review_id, lead_id, other_id, reason, noted_at FROM capture.review
           WHERE $1::uuid IS NULL OR review_id < $1 ORDER BY review_id DESC LIMIT $2""",
        after, limit,
    )  # fmt: skip


async def quarantined(connection: Connection, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The latest first; `after` is the last one of the page before."""
    return await connection.fetch(
        """SELECT submission_id, reason, site, received_at, released_at, lead_id, body FROM capture.quarantine
           WHERE $1::uuid IS NULL OR submission_id < $1 ORDER BY submission_id DESC LIMIT $2""",
        after, limit,
    )  # fmt: skip


async def erasure(connection: Connection, erasure_id: UUID) -> dict[str, Any]:
    """How far an erasure has come. Raises `NotFound`."""
    row = await connection.fetchrow("SELECT * FROM capture.erasure WHERE erasure_id = $1", erasure_id)
    if row is None:
        raise NotFound("no such erasure")
    done = await connection.fetch(
        "SELECT service, done_at, removed FROM capture.erasure_done WHERE erasure_id = $1 ORDER BY done_at", erasure_id
    )
    said = [dict(one) for one in done]
    waiting = [service for service in SERVICES if service not in {one["service"] for one in said}]
    return {**dict(row), "services": said, "waiting": waiting, "done": not waiting}
