"""Handover over HTTP, for operators and their programs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import HTTPConnection

from services.handover import export, offering, offers, outcomes, reps, worklist
from services.handover.domain import words
from services.handover.domain.lead import OfferState, SalesLead
from services.handover.moving import move
from services.handover.outcomes import Report
from services.handover.schemas import (
    Acceptance,
    NewRep,
    Offers,
    OfferTold,
    OutcomeReport,
    Rep,
    RepChange,
    Reps,
    Return,
    StageMove,
    Standing,
    Worklist,
    WorklistItem,
)
from shared.errors import Malformed, NotFound, Refused
from shared.events.envelope import Actor
from shared.keys import Key, Scope
from shared.leads import Cause, Lead
from shared.lifecycle import Stage
from shared.paging import Pages
from shared.security import Bearer, allow, key_of
from shared.service import Runtime, runtime_of
from shared.trace import traceparent

if TYPE_CHECKING:
    from services.handover.repository import SalesLeads
    from shared.database import Connection


class OrRep(Bearer):
    """A key with the scope, or a rep who signed in and then gets no further than what is theirs."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.opened_by = (scope, "rep")

    async def __call__(self, request: HTTPConnection) -> None:
        key = key_of(request)
        if key is None or key.rep is None:
            allow(key, self.scope)


class NotYours(Refused):
    """A rep asks in their own name alone."""

    status = 403
    title = "Not allowed"


for_worklist = APIRouter(prefix="/v1", dependencies=[Depends(OrRep(Scope.read))])
for_selling = APIRouter(prefix="/v1", dependencies=[Depends(OrRep(Scope.work))])
for_read = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.read))])
for_card = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.card))])
for_work = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.work))])
for_configure = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.configure))])
routers = (for_worklist, for_selling, for_read, for_card, for_work, for_configure)

Limit = Annotated[int, Query(ge=1, le=200)]


@for_worklist.get("/worklist")
async def show_worklist(
    request: Request, rep: UUID | None = None, test: bool = False, limit: Limit = 50, cursor: str | None = None
) -> Worklist:
    """The leads that are with sales, hottest first; of one rep those offered to or held by them.

    A key without the scope `card` is told no name and no company. A rep is told of their own, and of nobody else's.
    """
    runtime: Runtime[SalesLead] = runtime_of(request)
    key = key_of(request)
    assert key is not None
    rep = _own(key, rep)
    now = runtime.clock.now()
    pages = Pages(f"worklist {rep or ''} {test}", runtime.settings.secret)
    after = pages.read(cursor, now)
    keys = [after[0], after[1], datetime.fromisoformat(after[2]), UUID(after[3])] if after else None
    async with runtime.database.connection() as connection:
        rows = await worklist.page(connection, test=test, rep=rep, after=keys, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    named = key.rep is not None or Scope.card in key.scopes
    items = [_item(row, now, named=named) for row in rows[:limit]]
    return Worklist(items=items, next=pages.after(_keys(last)) if last else None)


@for_configure.post("/reps", status_code=201)
async def add_rep(request: Request, given: NewRep) -> Rep:
    """A new rep, who is asked next. At most one is the fallback owner: naming another takes it from the one before."""
    runtime: Runtime[SalesLead] = runtime_of(request)
    async with runtime.database.transaction() as connection:
        row = await reps.add(connection, given.model_dump(), runtime.clock.now())
    _wake_desk(runtime)
    return Rep(**row)


@for_read.get("/reps")
async def list_reps(request: Request, limit: Limit = 50, cursor: str | None = None) -> Reps:
    runtime: Runtime[SalesLead] = runtime_of(request)
    pages = Pages("reps", runtime.settings.secret)
    after = pages.read(cursor, runtime.clock.now())
    async with runtime.database.connection() as connection:
        rows = await reps.page(connection, UUID(after[0]) if after else None, limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    follows = pages.after([str(last["rep_id"])]) if last else None
    return Reps(items=[Rep(**row) for row in rows[:limit]], next=follows)


@for_configure.patch("/reps/{rep_id}")
async def change_rep(request: Request, rep_id: UUID, given: RepChange) -> Rep:
    """Change what is given. A rep who is not active is asked no more; what they hold stays theirs."""
    runtime: Runtime[SalesLead] = runtime_of(request)
    async with runtime.database.transaction() as connection:
        row = await reps.change(connection, rep_id, given.model_dump(exclude_unset=True))
    if row is None:
        raise NotFound("no such rep")
    _wake_desk(runtime)
    return Rep(**row)


@for_selling.post("/leads/{lead_id}/accept")
async def accept(request: Request, lead_id: UUID, given: Acceptance) -> Standing:
    """A rep takes a lead that is offered to them, or to nobody; 409 when another rep has it."""
    async with _of_rep(request, lead_id, given.rep) as (lead, rep_id, now):
        assert rep_id is not None
        offering.accept(lead, rep_id, now)
    return _standing(lead)


@for_selling.post("/leads/{lead_id}/return")
async def give_back(request: Request, lead_id: UUID, given: Return) -> Standing:
    """A rep gives a lead back, with a reason; it is nurtured, and does not come back at once."""
    async with _of_rep(request, lead_id, given.rep) as (lead, rep_id, now):
        assert rep_id is not None
        offering.give_back(lead, rep_id, given.reason, given.note.replace("\0", "").strip(), now)
    return _standing(lead)


@for_selling.post("/leads/{lead_id}/outcome")
async def take_outcome(request: Request, lead_id: UUID, given: OutcomeReport) -> Standing:
    """What became of the lead. `won` from accepted passes through the opportunity; 409 where the stage forbids it."""
    if given.currency and not given.value:
        raise Malformed(problems=[("/currency", "goes with a value")])
    currency = (given.currency or runtime_of(request).settings.currency) if given.value else ""
    async with _of_rep(request, lead_id, given.rep) as (lead, rep_id, now):
        outcomes.report(lead, Report(given.outcome, rep_id, given.reason, given.value or "", currency), now)
    return _standing(lead)


@for_work.post("/leads/{lead_id}/stage")
async def change_stage(request: Request, lead_id: UUID, given: StageMove) -> Standing:
    """A person moves the lead on; 409 with `owner` where it is not ours to move."""
    if given.to in (Stage.handed_over, Stage.accepted):
        raise Refused("A rep has to be named: use /accept.")
    async with _of_rep(request, lead_id, "") as (lead, _, now):
        offering.check_ours(lead)
        state = lead.state
        if given.to is Stage.sql and state.owner is not None:
            state.end_offer(OfferState.withdrawn, now)
            state.refuse(state.owner)
        move(lead, given.to, given.reason, now)
    return _standing(lead)


@for_read.get("/leads/{lead_id}/offers")
async def list_offers(request: Request, lead_id: UUID) -> Offers:
    """To whom the lead was offered, and what became of it, the first offer first."""
    async with runtime_of(request).database.connection() as connection:
        return Offers(items=[OfferTold(**row) for row in await offers.of_lead(connection, lead_id)])


@for_card.get("/leads/{lead_id}/export")
async def export_lead(request: Request, lead_id: UUID) -> dict[str, Any]:
    """All that handover holds of a lead."""
    async with runtime_of(request).database.connection() as connection:
        held = await export.of_lead(connection, lead_id)
    if held is None:
        raise NotFound("no such lead")
    return held


@asynccontextmanager
async def _of_rep(
    request: Request, lead_id: UUID, rep: str
) -> AsyncGenerator[tuple[Lead[SalesLead], UUID | None, datetime]]:
    """A lead to work on in the name of a rep, or of whoever holds the key when none is named. Raises `NotYours`."""
    runtime: Runtime[SalesLead] = runtime_of(request)
    key, now = key_of(request), runtime.clock.now()
    assert key is not None
    async with runtime.database.connection() as connection:
        rep_id = _own(key, await _rep_id(connection, rep) if rep else None)
    cause = Cause(time=now, actor=Actor("person", str(rep_id or key.id)), trace=traceparent())
    async with runtime.leads.work([lead_id], cause=cause) as work:
        yield work.lead(lead_id), rep_id, now


def _own(key: Key, rep: UUID | None) -> UUID | None:
    """The rep that is asked for; of a rep's session that rep. Raises `NotYours`."""
    if key.rep is not None and rep not in (None, key.rep):
        raise NotYours
    return key.rep or rep


async def _rep_id(connection: Connection, named: str) -> UUID:
    row = await reps.find(connection, named)
    if row is None:
        raise Malformed(problems=[("/rep", "is no rep's id or e-mail address")])
    rep_id: UUID = row["rep_id"]
    return rep_id


def _wake_desk(runtime: Runtime[SalesLead]) -> None:
    cast("SalesLeads", runtime.leads.repository).wake.desk.set()


def _standing(lead: Lead[SalesLead]) -> Standing:
    state = lead.state
    return Standing(
        lead_id=lead.lead_id,
        stage=lead.standing.stage or "",
        cycle=lead.standing.cycle,
        rep=state.owner,
        offer_id=state.offer.offer_id if state.offer else None,
        due_at=state.due_at,
        value=state.value,
        currency=state.currency,
        fulfilled_at=state.fulfilled_at,
        paid_at=state.paid_at,
    )


def _keys(row: Any) -> list[str | int | float | None]:
    return [row["rank"], row["minus_score"], row["since"].isoformat(), str(row["lead_id"])]


def _item(row: Any, now: datetime, *, named: bool) -> WorklistItem:
    taken = named and row["stage"] not in (Stage.sql, Stage.handed_over)
    return WorklistItem(
        lead_id=row["lead_id"],
        score=row["score"],
        temperature=row["temperature"],
        stage=row["stage"],
        reason=words.reason(offers.known(row), now),
        owner=row["owner"],
        owner_name=row["owner_name"],
        due_at=row["due_at"],
        since=row["since"],
        waits_for=row["waits_for"],
        name=(named and row["name"]) or "",
        company=(named and row["company"]) or "",
        email=(taken and row["email"]) or "",
        phone=(taken and row["phone"]) or "",
        message=(taken and row["message"]) or "",
    )
