"""The pages that reps reach by a signed link from a mail. Opening one decides nothing; only its buttons do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from services.handover import offering, offers
from services.handover.domain.lead import SalesLead
from services.handover.offering import NotNow
from services.handover.settings import HandoverSettings
from services.handover.writing import Letters, page_state
from shared.errors import Malformed, Refused
from shared.events.envelope import Actor
from shared.leads import Cause, Lead
from shared.security import BadLink, opened_by
from shared.service import Runtime, runtime_of
from shared.trace import traceparent

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NOTE = 500
MOST_LEADS = 50


@opened_by("signed link")
async def show_offer(request: Request) -> Response:
    runtime, letters = _room(request)
    now = runtime.clock.now()
    try:
        offer_id = letters.links.read_offer(request.path_params["token"], now)
    except BadLink:
        return HTMLResponse(letters.dead_link(now), 404)
    return await _page(runtime, letters, offer_id, now)


@opened_by("signed link")
async def accept_offer(request: Request) -> Response:
    def accept(lead: Lead[SalesLead], rep_id: UUID, now: datetime) -> None:
        offering.accept(lead, rep_id, now)

    return await _answer(request, accept, {})


@opened_by("signed link")
async def return_offer(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    reason = str(form.get("reason", ""))
    note = str(form.get("note", "")).replace("\0", "").strip()[:LONGEST_NOTE]

    def give_back(lead: Lead[SalesLead], rep_id: UUID, now: datetime) -> None:
        offering.give_back(lead, rep_id, reason, note, now)

    return await _answer(request, give_back, {"reason": reason, "note": note})


@opened_by("signed link")
async def show_worklist(request: Request) -> Response:
    runtime, letters = _room(request)
    now = runtime.clock.now()
    try:
        rep_id = letters.links.read_worklist(request.path_params["token"], now)
    except BadLink:
        return HTMLResponse(letters.dead_link(now), 404)
    async with runtime.database.connection() as connection:
        name = await connection.fetchval("SELECT name FROM handover.rep WHERE rep_id = $1 AND active", rep_id)
        rows = await offers.of_rep(connection, rep_id, MOST_LEADS) if name else []
    if name is None:
        return HTMLResponse(letters.dead_link(now), 404)
    return HTMLResponse(letters.worklist_page(name, rows, now))


async def _answer(
    request: Request, decide: Callable[[Lead[SalesLead], UUID, datetime], None], posted: Mapping[str, str]
) -> Response:
    """Decide by the link's own offer alone, then show the page as it is now: a form posted twice does no harm."""
    runtime, letters = _room(request)
    now = runtime.clock.now()
    try:
        offer_id = letters.links.read_offer(request.path_params["token"], now)
    except BadLink:
        return HTMLResponse(letters.dead_link(now), 404)
    async with runtime.database.connection() as connection:
        row = await offers.find(connection, offer_id)
    if row is None:
        return HTMLResponse(letters.dead_link(now), 410)
    cause = Cause(time=now, actor=Actor("person", str(row["rep_id"])), trace=traceparent())
    try:
        async with runtime.leads.work([row["lead_id"]], cause=cause) as work:
            lead = work.lead(row["lead_id"])
            asked = lead.state.offer
            if asked is None or asked.offer_id != offer_id:
                raise NotNow("This offer is over.")
            decide(lead, row["rep_id"], now)
    except Malformed:
        error = "Please say why, so that the next rep knows."
        return await _page(runtime, letters, offer_id, now, posted, error)
    except Refused:
        pass  # The page says what became of it.
    return RedirectResponse(letters.links.offer_path(offer_id), 303)


async def _page(
    runtime: Runtime[SalesLead],
    letters: Letters,
    offer_id: UUID,
    now: datetime,
    posted: Mapping[str, str] | None = None,
    error: str = "",
) -> Response:
    async with runtime.database.connection() as connection:
        row = await offers.find(connection, offer_id)
    if row is None:
        return HTMLResponse(letters.dead_link(now), 410)
    status = 422 if error else 410 if page_state(row) == "over" else 200
    return HTMLResponse(letters.offer_page(row, now, values=posted, error=error), status)


def _room(request: Request) -> tuple[Runtime[SalesLead], Letters]:
    runtime: Runtime[SalesLead] = runtime_of(request)
    letters = runtime.attached.get("letters")
    if letters is None:
        letters = runtime.attached["letters"] = Letters(cast("HandoverSettings", runtime.settings))
    return runtime, letters


routes = [
    Route("/offers/{token}", show_offer),
    Route("/offers/{token}/accept", accept_offer, methods=["POST"]),
    Route("/offers/{token}/return", return_offer, methods=["POST"]),
    Route("/worklist/{token}", show_worklist),
]
