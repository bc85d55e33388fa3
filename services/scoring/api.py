"""Scoring over HTTP, for operators."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from services.scoring import exporting
from services.scoring.domain.moments import moment
from services.scoring.domain.reading import BadRules
from services.scoring.domain.scored import Scored
from services.scoring.domain.stages import Move
from services.scoring.explaining import score_at
from services.scoring.handlers import catch_up
from services.scoring.repository import rulebook_of
from services.scoring.rules import parse
from services.scoring.schemas import Score, StageNow, StageWish
from services.scoring.verdict import conclude, move_to
from shared.errors import Malformed
from shared.events.envelope import Actor
from shared.keys import Scope
from shared.leads import Cause
from shared.lifecycle import NotOwner, Stage, owner
from shared.security import Bearer, allow, key_of
from shared.service import Runtime, runtime_of
from shared.trace import traceparent

for_read = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.read))])
for_card = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.card))])
for_work = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.work))])
for_configure = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.configure))])
routers = (for_read, for_card, for_work, for_configure)


@for_read.get("/leads/{lead_id}/score")
async def show_score(
    request: Request,
    lead_id: UUID,
    as_of: Annotated[datetime | None, Query(description="A moment in the past, RFC 3339.")] = None,
) -> Score:
    """The score with every entry it is made of; `as_of` a moment, what had happened by then."""
    runtime: Runtime[Scored] = runtime_of(request)
    now = runtime.clock.now()
    at = None if as_of is None else _in_the_past(as_of, now)
    async with (
        runtime.database.connection() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        return await score_at(connection, rulebook_of(runtime), lead_id, now, at)


@for_work.post("/leads/{lead_id}/stage")
async def move_lead(request: Request, lead_id: UUID, wish: StageWish) -> StageNow:
    """A person moves the lead on; 409 with `owner` while it is not scoring's to move."""
    runtime: Runtime[Scored] = runtime_of(request)
    cause = Cause(
        time=runtime.clock.now(), actor=Actor("person", allow(key_of(request), Scope.work).id), trace=traceparent()
    )
    async with runtime.leads.work([lead_id], cause=cause) as work:
        lead = work.lead(lead_id)
        standing = lead.standing
        if not lead.mine:
            raise NotOwner(owner(standing.stage, standing.stage_before))
        catch_up(lead)
        lead.state.memory.as_of = moment(work.now)
        move_to(lead, Move(wish.to, wish.reason, "manual"))
        # Let back in, a lead is judged like any that scoring is given; elsewhere the person's word stands.
        conclude(lead, work.now, decide=wish.to is Stage.registered)
        assert standing.stage is not None
        return StageNow(
            lead_id=lead_id, stage=standing.stage, cycle=standing.cycle, reason=lead.state.memory.stage_reason
        )


@for_card.get("/leads/{lead_id}/export")
async def export_lead(request: Request, lead_id: UUID) -> dict[str, Any]:
    """All that scoring holds of a lead."""
    runtime: Runtime[Scored] = runtime_of(request)
    async with runtime.database.connection() as connection:
        return await exporting.everything(connection, lead_id)


@for_read.get("/rules")
async def show_rules(request: Request) -> dict[str, Any]:
    """The live rule set as data."""
    runtime: Runtime[Scored] = runtime_of(request)
    async with runtime.database.connection() as connection:
        return (await rulebook_of(runtime).live(connection)).body


@for_configure.put("/rules")
async def change_rules(request: Request) -> dict[str, Any]:
    """Make a rule set live, as JSON or YAML; every lead is then counted anew. Answers the set with its new version."""
    runtime: Runtime[Scored] = runtime_of(request)
    try:
        # A reader written in Python takes a second for the longest file: not on the loop that serves everybody.
        body = await asyncio.to_thread(parse, (await request.body()).decode())
        async with runtime.database.transaction() as connection:
            by = allow(key_of(request), Scope.configure).id
            rules = cast("dict[str, object]", body)
            live = await rulebook_of(runtime).publish(connection, rules, runtime.clock.now(), by)
    except UnicodeDecodeError:
        raise Malformed("The rule set is not UTF-8 text.") from None
    except BadRules as bad:
        raise Malformed(
            "The rule set cannot be used.",
            [("".join(f"/{_escaped(part)}" for part in path), why) for path, why in bad.problems],
        ) from None
    return live.body


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _in_the_past(at: datetime, now: datetime) -> datetime:
    if at.tzinfo is None:
        raise Malformed("as_of needs a timezone, such as 2026-03-01T09:00:00Z")
    if at > now:
        raise Malformed("as_of lies in the future; what a lead will do by then is not known")
    return at.astimezone(UTC)
