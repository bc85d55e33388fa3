"""What a service holds back because it, or something before it, could not be applied: told, and brought again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from shared.keys import Scope
from shared.paging import Pages
from shared.security import Bearer
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
    runtime = runtime_of(request)
    failed = "reason = 'failed' AND ($2::uuid IS NULL OR lead_id = $2)"
    async with runtime.database.transaction() as connection:
        marked = await connection.execute(
            f"UPDATE {runtime.service.name}.held SET retry_at = $1, skip = false WHERE {failed}",
            runtime.clock.now(),
            lead_id,
        )
    return {"events": int(marked.split()[-1])}
