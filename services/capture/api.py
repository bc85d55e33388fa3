"""Capture over HTTP, for operators."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.capture import erasing, handlers, queries, releasing, sites
from services.capture.repository import Record
from services.capture.room import room_of
from services.capture.schemas import (
    CardOut,
    ErasureAccepted,
    ErasureReport,
    Export,
    QuarantinedOut,
    QuarantineList,
    Released,
    ReviewList,
    ReviewOut,
    SiteBody,
    SiteList,
    SiteOut,
    StageMove,
    StageNow,
)
from services.capture.sites import Site
from shared.errors import Malformed, NotFound
from shared.events.envelope import Actor
from shared.keys import Scope
from shared.leads import Cause
from shared.lifecycle import Stage
from shared.paging import Pages
from shared.security import Bearer, allow, key_of
from shared.service import Runtime, runtime_of
from shared.trace import traceparent

for_card = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.card))])
for_work = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.work))])
for_erase = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.erase))])
for_read = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.read))])
for_configure = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.configure))])
routers = (for_card, for_work, for_erase, for_read, for_configure)

Limit = Annotated[int, Query(ge=1, le=200)]


@for_card.get("/leads/{lead_id}")
async def show_card(request: Request, lead_id: UUID) -> CardOut:
    """The lead's record as it now is."""
    async with _runtime(request).database.connection() as connection:
        return CardOut.model_validate(await queries.card(connection, lead_id))


@for_erase.delete("/leads/{lead_id}", status_code=202)
async def erase(request: Request, response: Response, lead_id: UUID) -> ErasureAccepted:
    """Forget the lead everywhere; the report says when every service has. Asked again, the answer is the same."""
    erasure_id = await erasing.erase(_runtime(request).leads, lead_id)
    response.headers["Location"] = f"/v1/erasures/{erasure_id}"
    return ErasureAccepted(erasure_id=erasure_id)


@for_erase.get("/erasures/{erasure_id}")
async def show_erasure(request: Request, erasure_id: UUID) -> ErasureReport:
    async with _runtime(request).database.connection() as connection:
        return ErasureReport.model_validate(await queries.erasure(connection, erasure_id))


@for_card.get("/leads/{lead_id}/export")
async def export(request: Request, lead_id: UUID) -> Export:
    """All that capture holds of the lead."""
    async with _runtime(request).database.connection() as connection:
        return Export(lead_id=lead_id, tables=await queries.export(connection, lead_id))


@for_work.post("/leads/{lead_id}/stage")
async def move(request: Request, lead_id: UUID, body: StageMove) -> StageNow:
    """Move the lead on, as a person; 409 with `owner` where another service owns it."""
    leads = _runtime(request).leads
    now = leads.clock.now()
    cause = Cause(time=now, actor=Actor("person", allow(key_of(request), Scope.work).id), trace=traceparent())
    async with leads.work([lead_id], cause=cause) as work:
        lead = work.lead(lead_id)
        lead.move(body.to, body.reason)
        if lead.standing.stage is not Stage.captured:
            lead.timers.pop(handlers.UNCONFIRMED, None)
        assert lead.standing.stage is not None
        return StageNow(lead_id=lead_id, stage=lead.standing.stage, cycle=lead.standing.cycle, reason=body.reason)


@for_card.get("/reviews")
async def list_reviews(request: Request, limit: Limit = 50, cursor: str | None = None) -> ReviewList:
    """Leads that may be one person, the latest doubt first."""
    pages, after = _page(request, "reviews", cursor)
    async with _runtime(request).database.connection() as connection:
        rows = await queries.reviews(connection, after, limit + 1)
    items = [ReviewOut.model_validate(dict(row)) for row in rows[:limit]]
    return ReviewList(items=items, next=pages.after([str(items[-1].review_id)]) if len(rows) > limit else None)


@for_card.get("/quarantine")
async def list_quarantine(request: Request, limit: Limit = 50, cursor: str | None = None) -> QuarantineList:
    """Submissions that were put aside, the latest first."""
    pages, after = _page(request, "quarantine", cursor)
    async with _runtime(request).database.connection() as connection:
        rows = await queries.quarantined(connection, after, limit + 1)
    items = [
        QuarantinedOut(
            **{name: value for name, value in row.items() if name != "body"},
            submission=msgspec.json.decode(row["body"]),
        )
        for row in rows[:limit]
    ]
    return QuarantineList(items=items, next=pages.after([str(items[-1].submission_id)]) if len(rows) > limit else None)


@for_work.post("/quarantine/{submission_id}/release")
async def release(request: Request, submission_id: UUID) -> Released:
    """Take a submission in after all; released again, the answer is the same."""
    answer = await releasing.release(_runtime(request).leads, submission_id)
    assert answer.lead_id is not None
    return Released(submission_id=submission_id, lead_id=answer.lead_id, created=answer.created)


@for_read.get("/sites")
async def list_sites(request: Request) -> SiteList:
    """Every site key there is."""
    async with _runtime(request).database.connection() as connection:
        return SiteList(items=[_site_out(site) for site in await sites.load(connection)])


@for_configure.put("/sites")
async def keep_site(request: Request, body: SiteBody) -> SiteOut:
    """Make a site key, or say anew what one stands for. Several keys may be of one site."""
    runtime = _runtime(request)
    if body.key in sites.DEMO_KEYS and not room_of(request).settings.demo_site:
        raise Malformed(problems=[("/key", "is the demo's, which everybody knows; leave it out and one is made")])
    key = body.key or ("pk_test_" if body.test else "pk_") + secrets.token_urlsafe(32)
    site = Site(
        key=key,
        name=body.name,
        origins=tuple(body.origins),
        policy=body.policy,
        test=body.test or key.startswith("pk_test_"),
        product=body.product,
        region=body.region,
    )
    async with runtime.database.transaction() as connection:
        await sites.keep(connection, site, runtime.clock.now())
    room_of(request).sites.forget()
    return _site_out(site)


@for_configure.delete("/sites/{key}", status_code=204)
async def remove_site(request: Request, key: str) -> None:
    """Take a site key back. Other processes may honour it for five seconds more."""
    if not key.isprintable():
        raise NotFound("no such site key")
    async with _runtime(request).database.transaction() as connection:
        if not await sites.remove(connection, key):
            raise NotFound("no such site key")
    room_of(request).sites.forget()


def _runtime(request: Request) -> Runtime[Record]:
    return runtime_of(request)


def _page(request: Request, name: str, cursor: str | None) -> tuple[Pages, UUID | None]:
    runtime = _runtime(request)
    pages = Pages(name, runtime.settings.secret)
    keys: list[Any] | None = pages.read(cursor, runtime.clock.now())
    return pages, UUID(keys[0]) if keys else None


def _site_out(site: Site) -> SiteOut:
    return SiteOut.model_validate(msgspec.to_builtins(site))
