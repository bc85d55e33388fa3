"""How far an import has come, which facts were taken before, and which rows were not taken: what outlives a crash."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from services.capture.importing.lines import Place
from services.capture.importing.mapping import BadRow
from services.capture.importing.report import Report
from shared.clock import uuid7
from shared.errors import Refused

if TYPE_CHECKING:
    from shared.database import Connection


class BeingImported(Refused):
    """Another process is importing this file right now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """`key` tells the file, the map and what the import may start; `read`: every row was taken or refused."""

    run_id: UUID
    started_at: datetime
    place: Place
    read: bool
    report: Report
    resumed: bool


async def begin(
    connection: Connection, key: str, *, file: str, site: str, start: str, first_row: Place, now: datetime
) -> Run:
    """The run to go on with: the one of the same file and map that was not finished, or a new one."""
    row = await connection.fetchrow(
        """INSERT INTO capture.import_run AS r
               (run_id, key, file, site, start, started_at, place_offset, place_line, read, report)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, $9)
           ON CONFLICT (key) WHERE finished_at IS NULL DO UPDATE SET file = excluded.file
           RETURNING *, run_id <> $1 AS resumed""",
        uuid7(), key, file, site, start, now, first_row.offset, first_row.line, Report().as_json().decode(),
    )  # fmt: skip
    assert row is not None
    return _run(row)


def _run(row: asyncpg.Record) -> Run:
    return Run(
        run_id=row["run_id"],
        started_at=row["started_at"],
        place=Place(row["place_offset"], row["place_line"]),
        read=row["read"],
        report=Report.from_json(row["report"].encode()),
        resumed=row["resumed"],
    )


async def advance(connection: Connection, run_id: UUID, before: Place, after: Place, report: Report) -> None:
    """Move on from one place to the next, in the transaction of the rows between. Raises `BeingImported`."""
    moved = await connection.execute(
        """UPDATE capture.import_run SET place_offset = $3, place_line = $4, report = $5
           WHERE run_id = $1 AND place_offset = $2 AND finished_at IS NULL""",
        run_id, before.offset, after.offset, after.line, report.as_json().decode(),
    )  # fmt: skip
    if moved != "UPDATE 1":
        raise BeingImported


async def state_of(connection: Connection, run_id: UUID) -> tuple[Place, Report]:
    row = await connection.fetchrow(
        "SELECT place_offset, place_line, report FROM capture.import_run WHERE run_id = $1", run_id
    )
    assert row is not None
    return Place(row["place_offset"], row["place_line"]), Report.from_json(row["report"].encode())


async def known_facts(connection: Connection, keys: Sequence[str]) -> set[str]:
    rows = await connection.fetch("SELECT key FROM capture.import_fact WHERE key = ANY($1)", keys)
    return {row["key"] for row in rows}


async def keep_facts(connection: Connection, keys: Iterable[str]) -> None:
    await connection.execute("INSERT INTO capture.import_fact (key) SELECT unnest($1::text[])", sorted(keys))


async def keep_leads(connection: Connection, run_id: UUID, lead_ids: Iterable[UUID]) -> None:
    await connection.execute(
        "INSERT INTO capture.import_lead (run_id, lead_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
        run_id, sorted(lead_ids),
    )  # fmt: skip


async def keep_refused(connection: Connection, run_id: UUID, rows: Sequence[BadRow]) -> None:
    await connection.executemany(
        "INSERT INTO capture.import_refused (run_id, line, cells, raw, problems) VALUES ($1, $2, $3, $4, $5)",
        [(run_id, row.line, list(row.cells), row.raw, row.problems) for row in rows],
    )


Refusal = tuple[int, Sequence[str], str, Sequence[tuple[str, str]]]
"""Line, cells, raw text and problems of a row that was not taken."""


async def refused(connection: Connection, run_id: UUID) -> list[Refusal]:
    """The rows that were not taken, in the order of the file."""
    rows = await connection.fetch(
        "SELECT line, cells, raw, problems FROM capture.import_refused WHERE run_id = $1 ORDER BY number", run_id
    )
    return [(row["line"], row["cells"], row["raw"], row["problems"]) for row in rows]


async def mark_read(connection: Connection, run_id: UUID) -> None:
    await connection.execute("UPDATE capture.import_run SET read = true WHERE run_id = $1", run_id)


async def unjudged(connection: Connection, run_id: UUID, most: int) -> list[UUID]:
    rows = await connection.fetch(
        "SELECT lead_id FROM capture.import_lead WHERE run_id = $1 ORDER BY lead_id LIMIT $2", run_id, most
    )
    return [row["lead_id"] for row in rows]


async def count_unjudged(connection: Connection, run_id: UUID) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM capture.import_lead WHERE run_id = $1", run_id)
    return count


async def mark_judged(connection: Connection, run_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """Raises `BeingImported` when somebody else has judged some of them meanwhile."""
    gone = await connection.execute(
        "DELETE FROM capture.import_lead WHERE run_id = $1 AND lead_id = ANY($2)", run_id, lead_ids
    )
    if gone != f"DELETE {len(lead_ids)}":
        raise BeingImported


async def finish(connection: Connection, run_id: UUID, now: datetime) -> None:
    """The run is over: what it kept of single rows is in its error file now, and is deleted here."""
    await connection.execute("DELETE FROM capture.import_refused WHERE run_id = $1", run_id)
    await connection.execute("UPDATE capture.import_run SET finished_at = $2 WHERE run_id = $1", run_id, now)
