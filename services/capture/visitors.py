"""What visitors of a site did before they said who they are, and who they turned out to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.capture.domain.submission import Visit

if TYPE_CHECKING:
    from shared.database import Connection

MOST_VISITS = 500
"""Of one visitor so many are stitched on, the latest: nobody reads more, and a transaction must end."""

Visitor = tuple[str, str]
"""Site and visitor id: the ids of two sites have nothing to do with each other."""


_decoder = msgspec.json.Decoder(Visit)


async def link(connection: Connection, known: Mapping[Visitor, UUID], now: datetime) -> dict[UUID, list[Visit]]:
    """These visitors are these leads from now on; answers what they did before, oldest first, and forgets it."""
    if not known:
        return {}
    await _claim(connection, known, now)
    rows = await connection.fetch(
        """DELETE FROM capture.visit v USING unnest($1::text[], $2::text[], $3::uuid[]) AS n(site, visitor_id, lead_id)
           WHERE v.site = n.site AND v.visitor_id = n.visitor_id RETURNING n.lead_id, v.at, v.body""",
        [site for site, _ in known], [visitor_id for _, visitor_id in known], list(known.values()),
    )  # fmt: skip
    visits: dict[UUID, list[Visit]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["at"]):
        visits[row["lead_id"]].append(_decoder.decode(row["body"]))
    return {lead_id: done[-MOST_VISITS:] for lead_id, done in visits.items()}


async def _claim(connection: Connection, visitors: Mapping[Visitor, UUID | None], now: datetime) -> dict[Visitor, UUID]:
    """Lock the visitors in order and answer who they are. A lead named here is kept as who it is."""
    ordered = sorted(visitors)
    rows = await connection.fetch(
        """INSERT INTO capture.visitor AS v (site, visitor_id, lead_id, seen_at)
           SELECT site, visitor_id, lead_id, $4
           FROM unnest($1::text[], $2::text[], $3::uuid[]) AS n(site, visitor_id, lead_id)
           ON CONFLICT (site, visitor_id) DO UPDATE
               SET lead_id = coalesce(excluded.lead_id, v.lead_id), seen_at = excluded.seen_at
           RETURNING site, visitor_id, lead_id""",
        [site for site, _ in ordered],
        [visitor_id for _, visitor_id in ordered],
        [visitors[visitor] for visitor in ordered],
        now,
    )
    return {(row["site"], row["visitor_id"]): row["lead_id"] for row in rows if row["lead_id"] is not None}


async def who(connection: Connection, visitors: Sequence[Visitor], now: datetime) -> dict[Visitor, UUID]:
    """The leads these visitors are known to be; those not named are nobody yet, and stay so while we hold the lock."""
    return await _claim(connection, dict.fromkeys(visitors), now) if visitors else {}


async def keep(connection: Connection, visits: Sequence[tuple[Visitor, Visit]]) -> None:
    """What nobody in particular did."""
    if visits:
        await connection.execute(
            """INSERT INTO capture.visit (activity_id, site, visitor_id, at, body)
               SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])""",
            [visit.activity_id for _, visit in visits],
            [site for (site, _), _ in visits],
            [visitor_id for (_, visitor_id), _ in visits],
            [visit.activity.at for _, visit in visits],
            [msgspec.json.encode(visit).decode() for _, visit in visits],
        )


async def forget_old(connection: Connection, before: datetime) -> int:
    """Forget visitors who were last seen before then and never said who they are, and what they did."""
    gone = await connection.fetch(
        """DELETE FROM capture.visitor WHERE (site, visitor_id) IN (
               SELECT site, visitor_id FROM capture.visitor WHERE seen_at < $1 AND lead_id IS NULL LIMIT 1000)
           RETURNING site, visitor_id""",
        before,
    )
    await connection.execute(
        """DELETE FROM capture.visit v USING unnest($1::text[], $2::text[]) AS n(site, visitor_id)
           WHERE v.site = n.site AND v.visitor_id = n.visitor_id""",
        [row["site"] for row in gone], [row["visitor_id"] for row in gone],
    )  # fmt: skip
    return len(gone)
