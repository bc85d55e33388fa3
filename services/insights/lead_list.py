"""Leads for the console: the one that moved last comes first; found by the beginnings of words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.insights.domain.search import query_of

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection


async def read_leads(
    connection: Connection, *, stage: str | None, q: str, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[asyncpg.Record]:
    """`q` is what a person types: words, an address, a number, or a lead's id."""
    where, given = ["stage <> ''"], list[object]()

    def add(condition: str, *values: object) -> None:
        places = [f"${len(given) + at}" for at in range(1, len(values) + 1)]
        given.extend(values)
        where.append(condition.format(*places))

    if stage:
        add("stage = {}", stage)
    if lead_id := _as_id(q):
        add("lead_id = {}", lead_id)
    elif q.strip():
        query = query_of(q)
        if not query:
            return []
        add("words @@ {}::text::tsquery", query)
    if after:
        add("(moved_at, lead_id) < ({}, {})", *after)
    given.append(limit)
    return await connection.fetch(
        f"""SELECT * FROM insights.lead WHERE {" AND ".join(where)}
            ORDER BY moved_at DESC, lead_id DESC LIMIT ${len(given)}""",
        *given,
    )


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
