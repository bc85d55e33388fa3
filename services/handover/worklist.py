"""The worklist as it is asked for: pages of leads, the hottest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

ORDER = "l.rank, (-coalesce(l.score, 0)), l.since, l.lead_id"


async def page(
    connection: Connection, *, test: bool, rep: UUID | None, after: Sequence[object] | None, limit: int
) -> list[asyncpg.Record]:
    """The next leads after the keys `after` (rank, minus the score, since, lead id)."""
    values: list[object] = [test, limit]
    conditions = ["l.listed", "l.test = $1"]
    if rep is not None:
        values.append(rep)
        conditions.append(f"l.owner = ${len(values)}")
    if after is not None:
        conditions.append(_beyond(len(values)))
        values += after
    return await connection.fetch(
        f"""SELECT l.*, (-coalesce(l.score, 0)) AS minus_score, c.name, c.company, c.email, c.phone, c.message,
                r.name AS owner_name
            FROM handover.lead l
            LEFT JOIN handover.card c USING (lead_id)
            LEFT JOIN handover.rep r ON r.rep_id = l.owner
            WHERE {" AND ".join(conditions)} ORDER BY {ORDER} LIMIT $2""",
        *values,
    )


def _beyond(given: int) -> str:
    first, second, third, fourth = (f"${given + place}" for place in range(1, 5))
    return f"({ORDER}) > ({first}::smallint, {second}::float8, {third}::timestamptz, {fourth}::uuid)"
