"""What services hold back, and how to have it tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

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


async def retry(url: str, service: str, lead_id: UUID | None, now: datetime) -> int:
    """Have failed events tried again; the services look for them every second. Answers how many there are."""
    connection = await asyncpg.connect(url)
    try:
        count = 0
        for name in await _there(connection, service):
            marked = await connection.execute(
                f"""UPDATE {name}.held SET retry_at = $2
                    WHERE ($1::uuid IS NULL OR lead_id = $1) AND reason = 'failed'""",
                lead_id, now,
            )  # fmt: skip
            count += int(marked.split()[-1])
        return count
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
