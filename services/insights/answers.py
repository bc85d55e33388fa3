"""What sales answers at the console: a lead accepted, given back, won or lost. Handover decides; this asks it."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.insights.console import show_lead
from services.insights.frame import page_router
from services.insights.looking_after import read_form
from services.insights.services import Services, path_of
from services.insights.worklist import show_worklist
from shared.keys import Scope
from shared.service import runtime_of

router = page_router(Scope.work, or_rep=True, prefix="/leads/{lead_id}")

# What handover has decided is heard here a moment later; the page is shown once it is, or without it.
HEARD_SECONDS, LOOK_SECONDS = 1.5, 0.05


@router.post("/accept")
async def accept(request: Request, lead_id: UUID) -> Response:
    form = await read_form(request)
    return await _answer(request, lead_id, "accept", {"rep": _rep(request, form)})


@router.post("/return")
async def give_back(request: Request, lead_id: UUID) -> Response:
    form = await read_form(request)
    said = {"rep": _rep(request, form), "reason": form.get("reason", ""), "note": form.get("note", "")[:2000]}
    return await _answer(request, lead_id, "return", said)


@router.post("/won")
async def win(request: Request, lead_id: UUID) -> Response:
    form = await read_form(request)
    value, currency = as_amount(form.get("value", "")), form.get("currency", "").strip().upper()
    worth = {"value": value, **({"currency": currency} if currency else {})} if value else {}
    return await _answer(request, lead_id, "outcome", {"outcome": "won", **worth})


@router.post("/lost")
async def lose(request: Request, lead_id: UUID) -> Response:
    form = await read_form(request)
    return await _answer(request, lead_id, "outcome", {"outcome": "lost", "reason": form.get("reason", "")})


def as_amount(typed: str) -> str:
    """A comma before cents is a point: many a phone has no other key. With three digits behind it, it is left alone,
    as it may stand for thousands."""
    return re.sub(r"^(\d+),(\d{1,2})$", r"\1.\2", typed.strip(), flags=re.ASCII)


def _rep(request: Request, form: dict[str, str]) -> str:
    """A rep answers for themselves; who distributes leads, for the rep who is asked."""
    return str(request.state.visitor.key.rep or form.get("rep", ""))


async def _answer(request: Request, lead_id: UUID, what: str, said: dict[str, str]) -> Response:
    services: Services = runtime_of(request).attached["services"]
    answer = await services.ask(request, "handover", "POST", path_of("v1", "leads", lead_id, what), body=said)
    is_rep = request.state.visitor.key.rep is not None
    if not answer.ok:
        status = answer.status or 502
        if is_rep:
            return await show_worklist(request, problem=answer.problem, status=status)
        return await show_lead(request, lead_id, answer.problem, status)
    if not is_rep:
        await _until_heard(request, lead_id, answer.said["stage"])
    return RedirectResponse("/worklist" if is_rep else f"/leads/{lead_id}", 303)


async def _until_heard(request: Request, lead_id: UUID, stage: str) -> None:
    for _ in range(int(HEARD_SECONDS / LOOK_SECONDS)):
        async with runtime_of(request).database.connection() as connection:
            if await connection.fetchval("SELECT stage FROM insights.lead WHERE lead_id = $1", lead_id) == stage:
                return
        await asyncio.sleep(LOOK_SECONDS)
