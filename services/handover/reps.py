"""The reps: who they are, what they can take, whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from services.handover.domain.rotation import Rep
from shared.clock import uuid7
from shared.errors import Refused

if TYPE_CHECKING:
    from shared.database import Connection

ROTATION_LOCK = 7811
_OPEN = "listed AND owner IS NOT NULL AND NOT test"
COLUMNS = ("name", "email", "phone", "products", "capacity", "active", "fallback")


class EmailTaken(Refused):
    """Another rep has this e-mail address."""

    title = "Rep exists"


async def lock_rotation(connection: Connection) -> None:
    """One chooser at a time, to the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ROTATION_LOCK)


async def in_rotation(connection: Connection) -> list[Rep]:
    """All reps, those who came first first: ids ascend with time."""
    rows = await connection.fetch(
        f"""SELECT r.*, coalesce(h.holds, 0) AS holds FROM handover.rep r
            LEFT JOIN (SELECT owner, count(*) AS holds FROM handover.lead WHERE {_OPEN} GROUP BY owner) h
                ON h.owner = r.rep_id
            ORDER BY r.rep_id"""
    )
    return [
        Rep(
            row["rep_id"],
            active=row["active"],
            products=frozenset(row["products"]),
            capacity=row["capacity"],
            fallback=row["fallback"],
            turn=row["turn"],
            holds=row["holds"],
        )
        for row in rows
    ]


async def keep_turns(connection: Connection, reps: Sequence[Rep]) -> None:
    await connection.execute(
        """UPDATE handover.rep r SET turn = n.turn FROM unnest($1::uuid[], $2::bigint[]) AS n(rep_id, turn)
            WHERE r.rep_id = n.rep_id AND r.turn <> n.turn""",
        [rep.rep_id for rep in reps],
        [rep.turn for rep in reps],
    )


async def add(connection: Connection, given: Mapping[str, object], now: datetime) -> asyncpg.Record:
    """A new rep, whose turn comes next. Raises `EmailTaken`."""
    await lock_rotation(connection)
    if given["fallback"]:
        await connection.execute("UPDATE handover.rep SET fallback = false WHERE fallback")
    try:
        row = await connection.fetchrow(
            f"""INSERT INTO handover.rep (rep_id, created_at, {", ".join(COLUMNS)})
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *""",
            uuid7(), now, *(given[name] for name in COLUMNS),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise EmailTaken from None
    assert row is not None
    return row


async def change(connection: Connection, rep_id: UUID, given: Mapping[str, object]) -> asyncpg.Record | None:
    """Change what is given; None when there is no such rep. Raises `EmailTaken`."""
    await lock_rotation(connection)
    if given.get("fallback"):
        await connection.execute("UPDATE handover.rep SET fallback = false WHERE fallback AND rep_id <> $1", rep_id)
    names = [name for name in COLUMNS if name in given]
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(names, start=2)) or "name = name"
    try:
        return await connection.fetchrow(
            f"UPDATE handover.rep SET {sets} WHERE rep_id = $1 RETURNING *", rep_id, *(given[name] for name in names)
        )
    except asyncpg.UniqueViolationError:
        raise EmailTaken from None


async def page(connection: Connection, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Reps in the order in which they came."""
    return await connection.fetch(
        f"""SELECT r.*, (SELECT count(*) FROM handover.lead WHERE owner = r.rep_id AND {_OPEN}) AS holds
            FROM handover.rep r WHERE $1::uuid IS NULL OR rep_id > $1 ORDER BY rep_id LIMIT $2""",
        after,
        limit,
    )


async def find(connection: Connection, named: str) -> asyncpg.Record | None:
    """The rep with this id or e-mail address."""
    try:
        return await connection.fetchrow("SELECT * FROM handover.rep WHERE rep_id = $1", UUID(named))
    except ValueError:
        return await connection.fetchrow("SELECT * FROM handover.rep WHERE lower(email) = lower($1)", named)


async def ensure_fallback(connection: Connection, email: str, now: datetime) -> None:
    """Whoever the setting names is the fallback owner: the rep with that address, or a new one who takes no turns."""
    await lock_rotation(connection)
    known = await find(connection, email)
    if known is None:
        name = email.partition("@")[0].replace(".", " ").title()
        rep: dict[str, object] = {"name": name, "email": email, "phone": "", "capacity": 0, "active": True}
        await add(connection, {**rep, "products": list[str](), "fallback": True}, now)
    elif not known["fallback"]:
        await change(connection, known["rep_id"], {"fallback": True})
