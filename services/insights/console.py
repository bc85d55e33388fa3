"""The pages of the console that are drawn from what insights heard itself: home, the list of leads, one lead."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from services.insights.domain.lead import LeadView
from services.insights.domain.words import answers_to_choose
from services.insights.frame import draw, page_router
from services.insights.funnel_answer import Question, answer
from services.insights.heard import heard_until
from services.insights.lead_list import Wanted
from services.insights.lead_page import read_lead
from services.insights.lead_told import told_of_lead, with_names_of_reps
from services.insights.list_page import read_list
from services.insights.pages import drawing
from services.insights.pages.drawing import FlowBack, StageCount
from services.insights.stream import Change, newest
from shared.keys import Scope
from shared.lifecycle import Stage
from shared.service import Runtime, runtime_of

router = page_router(Scope.card)

for_all = page_router(Scope.card, or_rep=True)
routers = (for_all, router)

MOST_CHANGES = 30


@for_all.get("/")
async def home(request: Request) -> Response:
    if request.state.visitor.key.rep:
        return RedirectResponse("/worklist", 303)
    runtime = _runtime(request)
    found = await answer(runtime, Question())
    said = found.model_dump(mode="json", by_alias=True)
    stages, back = cast("list[StageCount]", said["stages"]), cast("list[FlowBack]", said["back"])
    async with runtime.database.connection() as connection:
        changes = await newest(connection, MOST_CHANGES)
    shown: dict[str, object] = {
        "funnel": {**said, "as_of": found.as_of},
        "drawing": drawing.draw(stages, back),
        "worst": drawing.worst(stages),
        "changes": [_change(change) for change in changes],
    }
    return draw(request, "home", "home.html", shown)


def _change(change: Change) -> dict[str, object]:
    return {
        "at": change.at,
        "lead_id": str(change.lead_id),
        "who": change.who,
        "from": change.frm,
        "to": change.to,
        "reason": change.reason,
    }


@router.get("/leads")
async def leads(
    request: Request, stage: str = "", q: Annotated[str, Query(max_length=200)] = "", after: str | None = None
) -> Response:
    runtime = _runtime(request)
    wanted = Wanted(stage if stage in set(Stage) else "", q.strip())
    async with runtime.database.connection() as connection:
        as_of = await heard_until(runtime, connection)
        found = await read_list(connection, wanted, after, runtime.settings.secret, runtime.clock.now())
    named = await with_names_of_reps(request, cast("list[dict[str, object]]", found["leads"]))
    return draw(request, "leads", "leads.html", {"as_of": as_of, **found, "leads": named})


@router.get("/leads/{lead_id}")
async def lead(request: Request, lead_id: UUID) -> Response:
    return await show_lead(request, lead_id)


async def show_lead(request: Request, lead_id: UUID, problem: str = "", status: int = 200) -> Response:
    """`problem` says what handover said against an answer."""
    runtime = _runtime(request)
    async with runtime.database.connection() as connection:
        as_of = await heard_until(runtime, connection)
        found = await read_lead(connection, lead_id, runtime.settings.timezone)
    told = await told_of_lead(request, lead_id, found)
    choices = answers_to_choose(runtime.settings.currency)
    shown: dict[str, object] = {"as_of": as_of, **found, **told, "choices": choices, "problem": problem}
    return draw(request, "leads", "lead.html", shown, status)


def _runtime(request: Request) -> Runtime[LeadView]:
    return cast("Runtime[LeadView]", runtime_of(request))
