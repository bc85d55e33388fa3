"""Insights over HTTP, for programs and for the console's own scripts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse

from services.insights import lead_times
from services.insights.access import Reader
from services.insights.domain.lead import LeadView
from services.insights.export import everything
from services.insights.funnel_answer import By, Question, answer
from services.insights.lead_list import Wanted, after
from services.insights.schemas import FunnelAnswer, LeadItem, LeadPage, LeadTimes, StageMove, Timeline
from services.insights.stream import StageStream
from services.insights.timeline import read_timeline, require_lead
from shared import lifecycle
from shared.errors import Malformed, NotFound
from shared.keys import Scope
from shared.lifecycle import Stage
from shared.paging import Pages
from shared.security import Bearer
from shared.service import Runtime, runtime_of

for_read = APIRouter(prefix="/v1", dependencies=[Depends(Reader(Scope.read))])
reader = Reader(Scope.card)
for_people = APIRouter(prefix="/v1", dependencies=[Depends(reader)])
for_card = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.card))])
for_work = APIRouter(prefix="/v1", dependencies=[Depends(Bearer(Scope.work))])
routers = (for_read, for_people, for_card, for_work)

Limit = Annotated[int, Query(ge=1, le=200)]
Groups = Annotated[int, Query(ge=1, le=1000)]
From = Annotated[date | None, Query(alias="from")]
To = Annotated[date | None, Query(alias="to")]


@for_read.get("/leads/{lead_id}/timeline")
async def show_timeline(request: Request, lead_id: UUID, limit: Limit = 100, cursor: str | None = None) -> Timeline:
    """What happened to a lead, oldest first, each as a sentence."""
    runtime = _runtime(request)
    pages = Pages(f"timeline {lead_id}", runtime.settings.secret)
    place = _moment_and_id(pages.read(cursor, runtime.clock.now()))
    async with runtime.database.connection() as connection:
        await require_lead(connection, lead_id)
        items = await read_timeline(connection, lead_id, place, limit + 1)
    last = items[limit - 1] if len(items) > limit else None
    follows = pages.after([last.at.isoformat(), str(last.event_id)]) if last else None
    return Timeline(items=items[:limit], next=follows)


def _moment_and_id(keys: list[Any] | None) -> tuple[datetime, UUID] | None:
    return (datetime.fromisoformat(keys[0]), UUID(keys[1])) if keys else None


def asked(by: By = "source", first: From = None, last: To = None, test: bool = False, groups: Groups = 50) -> Question:
    """Raises `Malformed`."""
    if first and last and first > last:
        raise Malformed("`from` is after `to`")
    return Question(by, first, last, test, groups)


Asked = Annotated[Question, Depends(asked)]


@for_read.get("/funnel")
async def show_funnel(request: Request, question: Asked) -> FunnelAnswer:
    """How far leads came. `leads` reached a stage or a later one in their present cycle, `now` are in it.

    With `from` and `to`, days of the installation's timezone, both counted in: what was first reached in those days,
    in whichever cycle. `test=true` counts the test leads instead of the real ones.
    """
    return await answer(_runtime(request), question)


@for_read.get("/lead-times")
async def show_lead_times(request: Request, question: Asked) -> LeadTimes:
    """Of the leads that came in those days, how many bought by now, and after how many days.

    A customer who comes round again counts anew, in the days of each cycle's start.
    """
    return await lead_times.answer(_runtime(request), question)


@for_people.get("/leads")
async def list_leads(
    request: Request,
    stage: Stage | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> LeadPage:
    """Leads by their last stage change, newest first; `q` finds by name, company, address, number or lead id."""
    runtime = _runtime(request)
    pages = Pages(f"leads {stage or ''} {q}", runtime.settings.secret)
    place = _moment_and_id(pages.read(cursor, runtime.clock.now()))
    async with runtime.database.connection() as connection:
        rows = await after(connection, Wanted(stage or "", q), place, limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    follows = pages.after([last["moved_at"].isoformat(), str(last["lead_id"])]) if last else None
    return LeadPage(items=[LeadItem.model_validate(dict(row)) for row in rows[:limit]], next=follows)


@for_people.get("/stream", response_class=StreamingResponse)
async def follow_changes(
    request: Request, last_event_id: Annotated[str | None, Header(max_length=20)] = None
) -> StreamingResponse:
    """Stage changes as they happen (SSE, event `stage`); history that is brought in is not among them.

    A reader that names no `Last-Event-ID` is first told the newest thirty.
    """
    stream: StageStream = _runtime(request).attached["stream"]
    last = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    lines = await stream.follow(last, request.app.state.stopping)
    return StreamingResponse(
        reader.during(request, lines), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


@for_card.get("/leads/{lead_id}/export")
async def export_lead(request: Request, lead_id: UUID) -> dict[str, object]:
    """Everything this service holds of the lead."""
    async with _runtime(request).database.connection() as connection:
        return await everything(connection, lead_id)


@for_work.post("/leads/{lead_id}/stage")
async def move_lead(request: Request, lead_id: UUID, move: StageMove) -> None:
    """Always 409: insights owns no stage. The answer's `owner` names the service that may move the lead."""
    async with _runtime(request).database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT stage, stage_before FROM insights.standing WHERE lead_id = $1 AND stage <> '' AND NOT erased",
            lead_id,
        )
    if row is None:
        raise NotFound("no such lead")
    before = Stage(row["stage_before"]) if row["stage_before"] else None
    raise lifecycle.NotOwner(lifecycle.owner(Stage(row["stage"]), before))


def _runtime(request: Request) -> Runtime[LeadView]:
    return cast("Runtime[LeadView]", runtime_of(request))
