"""What services hold back, and how to have it tried again or passed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from shared import held
from shared.events.topics import SERVICES


@dataclass(frozen=True)
class Held:
    service: str
    lead_id: UUID
    topic: str
    seq: int
    reason: str
    detail: str
    held_at: datetime


async def waiting(url: str, service: str = "") -> list[Held]:
    """What waits, oldest first; of one service, or of all that have tables in this database."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[Held] = []
        for name in await _there(connection, service):
            found = await connection.fetch(
                f"SELECT lead_id, topic, seq, reason, detail, held_at FROM {name}.held ORDER BY number"
            )
            rows += [Held(name, **dict(row)) for row in found]
        return sorted(rows, key=lambda row: row.held_at)
    finally:
        await connection.close()


@dataclass(frozen=True)
class Tended:
    """What somebody decided about a held event."""

    service: str
    lead_id: UUID
    topic: str
    seq: int
    deed: str
    reason: str
    who: str
    at: datetime


async def tended(url: str, service: str = "", most: int = 20) -> list[Tended]:
    """The latest decisions, newest first."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[Tended] = []
        for name in await _there(connection, service):
            found = await connection.fetch(
                f"SELECT lead_id, topic, seq, deed, reason, who, at FROM {name}.tended ORDER BY at DESC LIMIT $1", most
            )
            rows += [Tended(name, **dict(row)) for row in found]
        return sorted(rows, key=lambda row: row.at, reverse=True)[:most]
    finally:
        await connection.close()


async def tend(
    url: str, service: str, lead_id: UUID, deed: Literal["release", "skip"], reason: str, who: str, now: datetime
) -> list[str]:
    """Release or skip the failed events of a lead, and keep why; answers in words which those are.

    The services look for them every second: a released event is tried again, a skipped one counts as heard without
    its effect, and then comes what waits behind it. Raises `SystemExit` when there is none.
    """
    connection = await asyncpg.connect(url)
    try:
        chosen = [
            f"{topic} seq {seq} of {name}"
            for name in await _there(connection, service)
            for topic, seq in await held.tend(connection, name, deed, lead_id, now, reason, who)
        ]
    finally:
        await connection.close()
    if not chosen:
        raise SystemExit(f"No failed event of lead {lead_id} is held; `leadline held list` shows what waits, and why.")
    return chosen


async def retry(url: str, service: str, lead_id: UUID | None, now: datetime) -> int:
    """Have failed events tried again; the services look for them every second. Answers how many there are."""
    connection = await asyncpg.connect(url)
    try:
        names = await _there(connection, service)
        return sum([len(await held.tend(connection, name, "retry", lead_id, now)) for name in names])
    finally:
        await connection.close()


async def _there(connection: asyncpg.Connection[asyncpg.Record], service: str) -> list[str]:
    names = [name for name in SERVICES if not service or name == service]
    if not names:
        raise SystemExit(f"There is no service {service!r}; there are {', '.join(SERVICES)}.")
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) name WHERE to_regclass(name || '.held') IS NOT NULL", names
    )
    return [row["name"] for row in rows]
