"""The worklist: for a rep what is theirs, the next lead large; for those who distribute leads all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.insights.access import Reader
from services.insights.domain.words import reason
from services.insights.frame import PageRoute, draw
from services.insights.looking_after import read_form
from services.insights.services import Services, path_of
from shared.keys import Scope
from shared.reasons import RETURN_REASONS
from shared.service import runtime_of

# Read where the people stand, who are named on it.
_reads = Reader(Scope.card, or_rep=True)
_works = Reader(Scope.work, or_rep=True)
router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)

RETURNS = {code: reason(code) for code in sorted(RETURN_REASONS)}


@router.get("/worklist", dependencies=[Depends(_reads)])
async def worklist(request: Request, after: str = "", problem: str = "") -> Response:
    found = await _services(request).get(request, "handover", "/v1/worklist", **({"cursor": after} if after else {}))
    follows = found.said.get("next") if found.ok else None
    key = request.state.visitor.key
    shown: dict[str, object] = {
        "leads": [_item(item) for item in found.said["items"]] if found.ok else [],
        "own": key.rep is not None,
        "sees_leads": Scope.card in key.scopes,
        "reasons": RETURNS,
        "problem": found.problem or problem[:300],
        "next_url": f"/worklist?after={follows}" if follows else "",
    }
    return draw(request, "worklist", "worklist.html", shown)


@router.post("/worklist/accept", dependencies=[Depends(_works)])
async def accept(request: Request) -> Response:
    form = await read_form(request)
    return await _answer(request, form.get("lead", ""), "accept", {})


@router.post("/worklist/return", dependencies=[Depends(_works)])
async def give_back(request: Request) -> Response:
    form = await read_form(request)
    said = {"reason": form.get("reason", ""), "note": form.get("note", "")[:2000]}
    return await _answer(request, form.get("lead", ""), "return", said)


async def _answer(request: Request, lead_id: str, what: str, said: dict[str, str]) -> Response:
    """The rep who signed in answers; what handover says against it stands above the list."""
    rep = request.state.visitor.key.rep
    body = {"rep": str(rep or ""), **said}
    answer = await _services(request).ask(request, "handover", "POST", path_of("v1", "leads", lead_id, what), body=body)
    query = "" if answer.ok else "?" + urlencode({"problem": answer.problem})
    return RedirectResponse(f"/worklist{query}", 303)


def _item(item: dict[str, Any]) -> dict[str, object]:
    times = {name: datetime.fromisoformat(item[name]) if item[name] else None for name in ("due_at", "since")}
    who = item["name"] or item["company"] or f"Lead {item['lead_id'][-4:]}"
    return {**item, **times, "who": who}


def _services(request: Request) -> Services:
    services: Services = runtime_of(request).attached["services"]
    return services
