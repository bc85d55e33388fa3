"""The pages of the console that insights serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from services.insights.access import PageReader
from services.insights.domain.lead import LeadView
from services.insights.funnel_answer import Question, answer
from services.insights.heard import heard_until
from services.insights.lead_list import Wanted
from services.insights.lead_page import read_lead
from services.insights.list_page import read_list
from services.insights.pages.drawing import FlowBack, StageCount, draw, worst
from services.insights.settings import InsightsSettings
from services.insights.stream import Change, newest
from shared.events.topics import SERVICES
from shared.keys import Scope
from shared.lifecycle import Stage
from shared.pages.navigation import Console, console
from shared.service import Runtime, runtime_of

router = APIRouter(
    dependencies=[Depends(PageReader(Scope.card))], include_in_schema=False, default_response_class=HTMLResponse
)

MOST_CHANGES = 30


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    runtime = _runtime(request)
    found = await answer(runtime, Question())
    said = found.model_dump(mode="json", by_alias=True)
    stages, back = cast("list[StageCount]", said["stages"]), cast("list[FlowBack]", said["back"])
    async with runtime.database.connection() as connection:
        changes = await newest(connection, MOST_CHANGES)
    shown: dict[str, object] = {
        "funnel": {**said, "as_of": found.as_of},
        "drawing": draw(stages, back),
        "worst": worst(stages),
        "changes": [_change(change) for change in changes],
    }
    return _page(runtime, "home", "home.html", shown)


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
) -> HTMLResponse:
    runtime = _runtime(request)
    wanted = Wanted(stage if stage in set(Stage) else "", q.strip())
    async with runtime.database.connection() as connection:
        as_of = await heard_until(runtime, connection)
        found = await read_list(connection, wanted, after, runtime.settings.secret, runtime.clock.now())
    return _page(runtime, "leads", "leads.html", {"as_of": as_of, **found})


@router.get("/leads/{lead_id}")
async def lead(request: Request, lead_id: UUID) -> HTMLResponse:
    runtime = _runtime(request)
    async with runtime.database.connection() as connection:
        as_of = await heard_until(runtime, connection)
        found = await read_lead(connection, lead_id, runtime.settings.timezone)
    return _page(runtime, "leads", "lead.html", {"as_of": as_of, **found})


def _page(runtime: Runtime[LeadView], place: str, template: str, variables: Mapping[str, object]) -> HTMLResponse:
    pages: Environment = runtime.attached["pages"]
    page = pages.get_template(template)
    return HTMLResponse(page.render(console=_frame(runtime, place), now=runtime.clock.now(), **variables))


def _frame(runtime: Runtime[LeadView], place: str) -> Console:
    settings = runtime.settings
    assert isinstance(settings, InsightsSettings)
    addresses = {name: "" if name == "insights" else settings.public_url_of(name) for name in SERVICES}
    # With a mail server of its own an installation has no mails to look at here.
    return console(place, addresses, settings.company, without=("mails",) if settings.smtp_url else ())


def _runtime(request: Request) -> Runtime[LeadView]:
    return cast("Runtime[LeadView]", runtime_of(request))
