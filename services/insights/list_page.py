"""What the page with the list of leads shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from services.insights.domain.note import Noted
from services.insights.lead_list import Wanted, after, before, count, place_of
from services.insights.lead_page import owner_of
from services.insights.repository import person_in
from shared.paging import Pages

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

PAGE = 50


async def read_list(
    connection: Connection, wanted: Wanted, cursor: str | None, secret: bytes, now: datetime
) -> dict[str, object]:
    """The variables of `leads.html`, but for the frame. Raises `Malformed` for a cursor of another list."""
    pages = Pages(f"list {wanted.stage} {wanted.q}", secret)
    rows, first, more = await _rows(connection, wanted, pages.read(cursor, now))
    ends = {"back_url": "", "next_url": ""}
    if rows and first > 1:
        ends["back_url"] = _url(wanted, pages, "before", rows[0], max(first - PAGE, 1))
    if rows and more:
        ends["next_url"] = _url(wanted, pages, "after", rows[-1], first + len(rows))
    nothing_here = not rows and bool(wanted.stage)
    return {
        "leads": [_line(row) for row in rows],
        "q": wanted.q,
        "stage": wanted.stage,
        "total": await count(connection, wanted),
        "first": first,
        "elsewhere": await count(connection, wanted.but(stage="")) if nothing_here else None,
        **ends,
    }


async def _rows(
    connection: Connection, wanted: Wanted, keys: Sequence[object] | None
) -> tuple[Sequence[asyncpg.Record], int, bool]:
    """The leads of the page, the number of the first of them, and whether more follow."""
    if keys is not None:
        way, moved_at, lead_id, first = keys
        place = datetime.fromisoformat(str(moved_at)), UUID(str(lead_id))
        if way == "after":
            rows = await after(connection, wanted, place, PAGE + 1)
            return rows[:PAGE], int(str(first)), len(rows) > PAGE
        rows = await before(connection, wanted, place, PAGE)
        if len(rows) == PAGE:
            return rows, int(str(first)), True
    # The top of the list: asked for, or reached on the way back.
    rows = await after(connection, wanted, None, PAGE + 1)
    return rows[:PAGE], 1, len(rows) > PAGE


def _url(wanted: Wanted, pages: Pages, way: str, row: asyncpg.Record, first: int) -> str:
    moved_at, lead_id = place_of(row)
    cursor = pages.after([way, moved_at.isoformat(), str(lead_id), first])
    asked = {"stage": wanted.stage, "q": wanted.q, "after": cursor}
    return "/leads?" + urlencode({name: value for name, value in asked.items() if value})


def _line(row: asyncpg.Record) -> dict[str, object]:
    person, grading = person_in(row), msgspec.convert(row["noted"], Noted).grading
    return {
        "lead_id": str(row["lead_id"]),
        "who": person.called(row["lead_id"]),
        "organization": person.company,
        "stage": row["stage"],
        "temperature": row["temperature"],
        "score": row["score"],
        "fit": grading.grade if grading else "",
        "source": row["source"] or row["channel"],
        "owner": owner_of(row),
        "rep": row["rep"] if owner_of(row) else "",
        "seen": row["seen_at"],
    }
