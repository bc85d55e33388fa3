"""Handover over HTTP, for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from services.handover import worklist
from services.handover.domain import words
from services.handover.domain.lead import SalesLead
from services.handover.schemas import Worklist, WorklistItem
from shared.paging import Pages
from shared.security import Bearer
from shared.service import Runtime, runtime_of

router = APIRouter(prefix="/v1", dependencies=[Depends(Bearer())])


@router.get("/worklist")
async def show_worklist(
    request: Request,
    rep: UUID | None = None,
    test: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Worklist:
    """The leads that are with sales, hottest first; of one rep those offered to or held by them."""
    runtime: Runtime[SalesLead] = runtime_of(request)
    now = runtime.clock.now()
    pages = Pages(f"worklist {rep or ''} {test}", runtime.settings.secret)
    after = pages.read(cursor, now)
    keys = [after[0], after[1], datetime.fromisoformat(after[2]), UUID(after[3])] if after else None
    async with runtime.database.connection() as connection:
        rows = await worklist.page(connection, test=test, rep=rep, after=keys, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return Worklist(items=[_item(row, now) for row in rows[:limit]], next=pages.after(_keys(last)) if last else None)


def _keys(row: Any) -> list[str | int | float | None]:
    return [row["rank"], row["minus_score"], row["since"].isoformat(), str(row["lead_id"])]


def _item(row: Any, now: datetime) -> WorklistItem:
    known = SalesLead(
        score=row["score"],
        temperature=row["temperature"],
        reason=row["reason"],
        since=row["since"],
        asked_for=row["asked_for"],
        asked_at=row["asked_at"],
    )
    return WorklistItem(
        lead_id=row["lead_id"],
        score=row["score"],
        temperature=row["temperature"],
        stage=row["stage"],
        reason=words.reason(known, now),
        owner=row["owner"],
        owner_name=row["owner_name"],
        due_at=row["due_at"],
        since=row["since"],
        waits_for=row["waits_for"],
        name=row["name"] or "",
        company=row["company"] or "",
    )
