"""Who is known by which contact point, decided for a batch at once and the same in every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.capture.domain.recognition import Known, Person, Recognised, recognise
from shared.clock import uuid7

if TYPE_CHECKING:
    from shared.database import Connection


async def resolve(connection: Connection, people: Sequence[Person], now: datetime) -> list[Recognised]:
    """The lead of each person. Their keys stay locked until the transaction ends, so nobody else decides meanwhile."""
    if not people:
        return []
    planned, wished = recognise(people, {})
    stored = await _claim(connection, wished)
    known = {key: who for key, who in stored.items() if who.lead_id != wished[key].lead_id}
    recognised, after = (planned, wished) if not known else recognise(people, known)
    await _change(connection, {key: who for key, who in after.items() if who != stored[key]})
    await _note_conflicts(connection, recognised, now)
    return recognised


async def _claim(connection: Connection, wished: Mapping[str, Known]) -> dict[str, Known]:
    """Take each key for the lead we would make, unless somebody has it; in order, so that no two wait for each other.

    The update changes nothing. It locks the row, which a plain `DO NOTHING` does not.
    """
    keys = sorted(wished)
    rows = await connection.fetch(
        """INSERT INTO capture.identity AS i (key, lead_id, has_email)
           SELECT * FROM unnest($1::text[], $2::uuid[], $3::bool[]) ON CONFLICT (key) DO UPDATE SET lead_id = i.lead_id
           RETURNING key, lead_id, has_email""",
        keys, [wished[key].lead_id for key in keys], [wished[key].has_email for key in keys],
    )  # fmt: skip
    return {row["key"]: Known(row["lead_id"], row["has_email"]) for row in rows}


async def _change(connection: Connection, changed: Mapping[str, Known]) -> None:
    if changed:
        await connection.execute(
            """UPDATE capture.identity i SET lead_id = n.lead_id, has_email = n.has_email
               FROM unnest($1::text[], $2::uuid[], $3::bool[]) AS n(key, lead_id, has_email) WHERE i.key = n.key""",
            list(changed), [who.lead_id for who in changed.values()], [who.has_email for who in changed.values()],
        )  # fmt: skip


async def _note_conflicts(connection: Connection, recognised: Sequence[Recognised], now: datetime) -> None:
    pairs = sorted({(one.lead_id, one.other) for one in recognised if one.other is not None})
    if pairs:
        await connection.execute(
            """INSERT INTO capture.review (review_id, lead_id, other_id, reason, noted_at)
               SELECT review_id, lead_id, other_id, 'same_phone', $4
               FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS n(review_id, lead_id, other_id)
               ON CONFLICT DO NOTHING""",
            [uuid7() for _ in pairs], [lead_id for lead_id, _ in pairs], [other for _, other in pairs], now,
        )  # fmt: skip


async def lock(connection: Connection, lead_id: UUID) -> None:
    """Let nobody be recognised as this lead until the transaction ends.

    To be called before the lead itself is locked: a submission takes these locks in this order.
    """
    await connection.execute("SELECT 1 FROM capture.identity WHERE lead_id = $1 ORDER BY key FOR UPDATE", lead_id)
    await connection.execute(
        "SELECT 1 FROM capture.visitor WHERE lead_id = $1 ORDER BY site, visitor_id FOR UPDATE", lead_id
    )
