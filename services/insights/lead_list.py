"""Leads for the console: the one that moved last comes first; found by the beginnings of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.insights.domain.search import query_of

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

Place = tuple[datetime, UUID]
"""Where a lead stands in the list."""

COUNTED_TO = 10_000
"""Beyond that nobody reads the number, and the counting takes as long as the list is."""


@dataclass(frozen=True)
class Wanted:
    """`q` is what a person types: words, an address, a number, or a lead's id."""

    stage: str = ""
    q: str = ""

    def but(self, **changes: str) -> Wanted:
        return replace(self, **changes)


@dataclass
class _Where:
    conditions: list[str] = field(default_factory=lambda: ["stage <> ''"])
    values: list[object] = field(default_factory=list[object])

    def add(self, condition: str, *values: object) -> None:
        places = [f"${len(self.values) + at}" for at in range(1, len(values) + 1)]
        self.values += values
        self.conditions.append(condition.format(*places))

    def __str__(self) -> str:
        return " AND ".join(self.conditions)


def place_of(row: asyncpg.Record) -> Place:
    return row["moved_at"], row["lead_id"]


async def after(connection: Connection, wanted: Wanted, place: Place | None, limit: int) -> Sequence[asyncpg.Record]:
    """The next leads of the list, from its top or from a place."""
    where = _where(wanted)
    if where is None:
        return []
    if place:
        where.add("(moved_at, lead_id) < ({}, {})", *place)
    return await connection.fetch(
        f"SELECT * FROM insights.lead WHERE {where} ORDER BY moved_at DESC, lead_id DESC LIMIT {limit:d}",
        *where.values,
    )


async def before(connection: Connection, wanted: Wanted, place: Place, limit: int) -> Sequence[asyncpg.Record]:
    """The leads that stand before a place, in the order of the list."""
    where = _where(wanted)
    if where is None:
        return []
    where.add("(moved_at, lead_id) > ({}, {})", *place)
    rows = await connection.fetch(
        f"SELECT * FROM insights.lead WHERE {where} ORDER BY moved_at, lead_id LIMIT {limit:d}", *where.values
    )
    return rows[::-1]


async def count(connection: Connection, wanted: Wanted) -> int | None:
    """How many leads there are in the list; None for very many."""
    where = _where(wanted)
    if where is None:
        return 0
    counted: int = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT FROM insights.lead WHERE {where} LIMIT {COUNTED_TO + 1}) AS found", *where.values
    )
    return counted if counted <= COUNTED_TO else None


def _where(wanted: Wanted) -> _Where | None:
    """None where nothing can match."""
    where = _Where()
    if wanted.stage:
        where.add("stage = {}", wanted.stage)
    if lead_id := _as_id(wanted.q):
        where.add("lead_id = {}", lead_id)
    elif wanted.q.strip():
        query = query_of(wanted.q)
        if not query:
            return None
        where.add("words @@ {}::text::tsquery", query)
    return where


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
