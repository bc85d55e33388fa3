"""What the page of one lead shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.insights.domain.line import line
from services.insights.domain.note import Grading, Noted
from services.insights.domain.words import words
from services.insights.lead_list import Wanted, after, before, place_of
from services.insights.repository import person_in
from services.insights.timeline import require_lead
from shared.lifecycle import OWNER, Stage

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

MOST_ENTRIES = 500


async def read_lead(connection: Connection, lead_id: UUID, zone: tzinfo) -> dict[str, object]:
    """The variables of `lead.html`, but for the frame. Raises `NotFound`."""
    row = await require_lead(connection, lead_id)
    noted = msgspec.convert(row["noted"], Noted)
    return {
        "lead": _head(row),
        "score": _score(noted.grading),
        "timeline": await _timeline(connection, lead_id, zone),
        "consents": [
            {"purpose": words(purpose), "granted": consent.granted, "at": consent.at, "text": consent.text}
            for purpose, consent in noted.consent.items()
        ],
        "stays": await _stays(connection, lead_id, row["cycle"]),
        **await _neighbours(connection, row),
    }


def _head(row: asyncpg.Record) -> dict[str, object]:
    person = person_in(row)
    return {
        "lead_id": str(row["lead_id"]),
        "who": person.called(row["lead_id"]),
        "initials": person.initials,
        "role": person.role,
        "organization": person.company,
        "email": person.email,
        "phone": person.phone,
        "cycle": row["cycle"],
        "stage": row["stage"],
        "temperature": row["temperature"],
        "owner": owner_of(row),
        "due": None,
        "source": row["source"] or row["channel"],
        "test": row["test"],
    }


def owner_of(row: asyncpg.Record) -> str:
    """Who in sales has the lead. Events name reps by id alone, and so does this; "" where no rep has it."""
    with_sales = row["stage"] and OWNER.get(Stage(row["stage"])) == "handover" and row["stage"] != Stage.sql
    return f"rep {row['rep'][-4:]}" if with_sales and row["rep"] else ""


def _score(grading: Grading | None) -> dict[str, object] | None:
    """The entries behind a score are scoring's to tell."""
    if grading is None:
        return None
    return {
        "score": grading.score,
        "fit": grading.fit,
        "engagement": grading.engagement,
        "grade": grading.grade,
        "rule_version": grading.rules_version,
        "entries": [],
    }


async def _timeline(connection: Connection, lead_id: UUID, zone: tzinfo) -> list[dict[str, object]]:
    rows = await connection.fetch(
        """SELECT at, type, source, data FROM insights.timeline WHERE lead_id = $1
            ORDER BY at DESC, event_id DESC LIMIT $2""",
        lead_id,
        MOST_ENTRIES,
    )
    return [_entry(row, zone) for row in rows]


def _entry(row: asyncpg.Record, zone: tzinfo) -> dict[str, object]:
    told = line(row["type"], row["data"], zone)
    return {
        "at": row["at"],
        "source": row["source"].rpartition("/")[2],
        "type": row["type"],
        "summary": told.summary,
        "detail": told.detail,
        "from": told.frm,
        "to": told.to,
        "points": told.points,
    }


async def _stays(connection: Connection, lead_id: UUID, cycle: int) -> Sequence[dict[str, object]]:
    rows = await connection.fetch(
        "SELECT to_stage, at FROM insights.flow WHERE lead_id = $1 AND cycle = $2 ORDER BY seq", lead_id, cycle
    )
    ends = [*(later["at"] for _, later in pairwise(rows)), None]
    return [
        {"stage": row["to_stage"], "entered": row["at"], "left": left} for row, left in zip(rows, ends, strict=True)
    ]


async def _neighbours(connection: Connection, row: asyncpg.Record) -> dict[str, object]:
    """In the list of all leads, which is where one comes from most often."""
    if row["moved_at"] is None:
        return {"last_url": "", "next_url": ""}
    place = place_of(row)
    last = await before(connection, Wanted(), place, 1)
    following = await after(connection, Wanted(), place, 1)
    return {"last_url": _url(last), "next_url": _url(following)}


def _url(rows: Sequence[asyncpg.Record]) -> str:
    return f"/leads/{rows[0]['lead_id']}" if rows else ""
