"""Nurture over HTTP for operators: what was sent, what was not and why, and all that is held of a lead."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from services.nurture import kept_mails, queries
from services.nurture.domain.nurtured import Nurtured
from services.nurture.repository import Repository
from services.nurture.schemas import Export, KeptMail, KeptMails, Move, Touches, TouchesToLookAt
from services.nurture.settings import NurtureSettings
from shared.errors import NotFound
from shared.keys import Scope
from shared.lifecycle import NotOwner, Stage, owner
from shared.paging import Pages
from shared.security import Bearer
from shared.service import Runtime, runtime_of

for_read = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.read))])
for_card = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.card))])
for_work = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.work))])
routers = (for_read, for_card, for_work)


@for_read.get("/leads/{lead_id}/touches")
async def show_touches(request: Request, lead_id: UUID) -> Touches:
    """Every touch of a lead, also those not made, with the reason."""
    runtime: Runtime[Nurtured] = runtime_of(request)
    async with runtime.database.connection() as connection:
        return Touches(items=await queries.touches(connection, lead_id))


@for_read.get("/touches")
async def show_touches_to_look_at(
    request: Request,
    state: Literal["unknown", "failed"] = "unknown",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> TouchesToLookAt:
    """Touches of which nobody knows whether they arrived, or that failed for good; none is sent again by itself."""
    runtime: Runtime[Nurtured] = runtime_of(request)
    pages = Pages(f"touches {state}", runtime.settings.secret)
    keys = pages.read(cursor, runtime.clock.now())
    after = (datetime.fromisoformat(keys[0]), UUID(keys[1])) if keys else None
    async with runtime.database.connection() as connection:
        items = await queries.to_look_at(connection, state, after, limit + 1)
    last = items[limit - 1] if len(items) > limit else None
    following = pages.after([last.at.isoformat(), str(last.touch_id)]) if last else None
    return TouchesToLookAt(items=items[:limit], next=following)


@for_card.get("/leads/{lead_id}/export")
async def export(request: Request, lead_id: UUID) -> Export:
    """All that nurture holds of a lead."""
    runtime: Runtime[Nurtured] = runtime_of(request)
    repository = runtime.leads.repository
    assert isinstance(repository, Repository)
    async with runtime.database.connection() as connection:
        held = await queries.held(connection, lead_id)
    kept = [text for touch in held["touches"] if (text := repository.kept_mail(touch["message_id"]))]
    return Export(**held, kept_mails=kept)


@for_card.get("/mails")
async def list_kept_mails(
    request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None
) -> KeptMails:
    """The mails that were kept as files because no mail server is set, newest first."""
    runtime: Runtime[Nurtured] = runtime_of(request)
    folder = _folder(runtime)
    if folder is None:
        return KeptMails(items=[], next=None, folder=None)
    pages = Pages("mails", runtime.settings.secret)
    keys = pages.read(cursor, runtime.clock.now())
    after = (int(keys[0]), str(keys[1])) if keys else None
    found = await asyncio.to_thread(kept_mails.newest, folder, after, limit + 1)
    following = pages.after([str(found[limit - 1][0][0]), found[limit - 1][0][1]]) if len(found) > limit else None
    return KeptMails(items=[mail for _, mail in found[:limit]], next=following, folder=str(folder))


@for_card.get("/mails/{name}")
async def show_kept_mail(request: Request, name: str) -> KeptMail:
    folder = _folder(runtime_of(request))
    if folder is None:
        raise NotFound("no such mail")
    return await asyncio.to_thread(kept_mails.whole, folder, name)


def _folder(runtime: Runtime[Nurtured]) -> Path | None:
    settings = runtime.settings
    assert isinstance(settings, NurtureSettings)
    return settings.kept_mails if settings.smtp_url is None else None


@for_work.post("/leads/{lead_id}/stage")
async def move(request: Request, lead_id: UUID, _move: Move) -> None:
    """Always refused, with `owner`: nurture owns no stage."""
    runtime: Runtime[Nurtured] = runtime_of(request)
    async with runtime.database.connection() as connection:
        known = await queries.standing(connection, lead_id)
    stage, before = (Stage(known[name]) if known[name] else None for name in ("stage", "stage_before"))
    raise NotOwner(owner(stage, before))
