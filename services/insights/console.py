"""The pages of the console that insights serves."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from services.insights.access import console_reader
from services.insights.api import funnel_of
from services.insights.domain.lead import LeadView
from services.insights.pages.drawing import draw, worst
from services.insights.settings import InsightsSettings
from services.insights.stream import newest
from shared.events.topics import SERVICES
from shared.pages.navigation import Console, console
from shared.service import Runtime, runtime_of

router = APIRouter(dependencies=[Depends(console_reader)], include_in_schema=False, default_response_class=HTMLResponse)

MOST_CHANGES = 30


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    runtime = _runtime(request)
    found = await funnel_of(runtime, "source", first=None, last=None, test=False, groups=50)
    funnel = {**found.model_dump(mode="json", by_alias=True), "as_of": found.as_of}
    async with runtime.database.connection() as connection:
        changes = await newest(connection, MOST_CHANGES)
    stages, back = cast("Any", funnel["stages"]), cast("Any", funnel["back"])
    return _page(
        runtime,
        "home",
        "home.html",
        funnel=funnel,
        drawing=draw(stages, back),
        worst=worst(stages),
        changes=[{**_fields(change), "lead_id": str(change.lead_id)} for change in changes],
    )


def _fields(change: Any) -> dict[str, object]:
    return {
        "at": change.at, "who": change.who, "from": change.frm, "to": change.to, "reason": change.reason,
    }  # fmt: skip


def _page(runtime: Runtime[LeadView], place: str, template: str, **variables: object) -> HTMLResponse:
    pages: Environment = runtime.attached["pages"]
    frame = _frame(runtime, place)
    return HTMLResponse(pages.get_template(template).render(console=frame, now=runtime.clock.now(), **variables))


def _frame(runtime: Runtime[LeadView], place: str) -> Console:
    settings = runtime.settings
    assert isinstance(settings, InsightsSettings)
    addresses = {name: "" if name == "insights" else settings.public_url_of(name) for name in SERVICES}
    return console(place, addresses, settings.company, without=("mails",) if settings.smtp_url else ())


def _runtime(request: Request) -> Runtime[LeadView]:
    return cast("Runtime[LeadView]", runtime_of(request))
