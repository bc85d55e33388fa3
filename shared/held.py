"""What a service holds back because it, or something before it, could not be applied: told, brought again, skipped."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, StringConstraints

from shared.database import Connection
from shared.errors import NotFound
from shared.keys import Scope
from shared.paging import Pages
from shared.security import Bearer, allow, key_of
from shared.service import runtime_of

router = APIRouter(prefix="/v1/held", dependencies=[Depends(Bearer(Scope.operate))])

Limit = Annotated[int, Query(ge=1, le=200)]


class HeldEvent(BaseModel):
    """`reason`: `failed` waits for an operator, `behind` for one before it, `gap` and `card` for what is to come."""

    lead_id: UUID
    topic: str
    seq: int
    reason: str
    detail: str
    held_at: datetime


class Decision(BaseModel):
    """`reason`: a line on why, for those who look later; without names and addresses."""

    lead_id: UUID
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")
    ]


class HeldEvents(BaseModel):
    items: list[HeldEvent]
    next: str | None


@router.get("")
async def list_held(request: Request, limit: Limit = 50, cursor: str | None = None) -> HeldEvents:
    """What waits, oldest first, with the reason; no personal data."""
    runtime = runtime_of(request)
    pages = Pages("held", runtime.settings.secret)
    keys = pages.read(cursor, runtime.clock.now()) or [0]
    statement = f"SELECT * FROM {runtime.service.name}.held WHERE number > $1 ORDER BY number LIMIT $2"
    async with runtime.database.connection() as connection:
        rows = await connection.fetch(statement, *keys, limit + 1)
    items = [HeldEvent(**row) for row in rows[:limit]]
    return HeldEvents(items=items, next=pages.after([rows[limit - 1]["number"]]) if len(rows) > limit else None)


@router.post("/retry", status_code=202)
async def try_again(request: Request, lead_id: UUID | None = None) -> dict[str, int]:
    """Bring what failed, of a lead or of all, again within a second or two, and what waits behind it: `{events}`."""
    return await _tended(request, "retry", lead_id)


@router.post("/{deed}", status_code=202)
async def decide(request: Request, deed: Literal["release", "skip"], given: Decision) -> dict[str, int]:
    """Release or skip what failed of a lead; who decided is kept with the reason: `{events}`, 404 where none failed."""
    return await _tended(request, deed, given.lead_id, given.reason)


async def _tended(request: Request, deed: str, lead_id: UUID | None, reason: str = "") -> dict[str, int]:
    runtime, key = runtime_of(request), allow(key_of(request), Scope.operate)
    async with runtime.database.transaction() as at:
        chosen = await tend(at, runtime.service.name, deed, lead_id, runtime.clock.now(), reason, key.id)
    if reason and not chosen:
        raise NotFound("no event of this lead failed")
    return {"events": len(chosen)}


async def tend(
    at: Connection, service: str, deed: str, lead_id: UUID | None, now: datetime, reason: str = "", who: str = ""
) -> list[tuple[str, int]]:
    """Have what failed, of a lead or of all, tried again (`retry`, `release`) or counted as heard (`skip`): which.

    The service looks for them every second. Where a reason is given, it is kept with who decided.
    """
    statement = f"""WITH chosen AS (
            UPDATE {service}.held SET retry_at = $2, skip = ($3 = 'skip') WHERE reason = 'failed'
            AND ($1::uuid IS NULL OR lead_id = $1) RETURNING lead_id, event_id, topic, seq
        ), kept AS (INSERT INTO {service}.tended (lead_id, event_id, topic, seq, deed, reason, who, at)
            SELECT lead_id, event_id, topic, seq, $3, $4, $5, $2 FROM chosen WHERE $4 <> '')
        SELECT topic, seq FROM chosen"""
    return [(row["topic"], row["seq"]) for row in await at.fetch(statement, lead_id, now, deed, reason, who)]
