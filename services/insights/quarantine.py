"""The page with the submissions that capture put aside, where somebody looks at them and lets in who is real."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.insights.frame import draw, page_router
from services.insights.services import Services, path_of
from shared.keys import Scope
from shared.service import runtime_of

for_card, for_work = page_router(Scope.card), page_router(Scope.work)
routers = (for_card, for_work)

WHY = {"honeypot": "Filled in the field that people do not see"}


@for_card.get("/quarantine")
async def quarantine(request: Request, after: str = "") -> Response:
    return await _page(request, after)


@for_work.post("/quarantine/{submission_id}/release")
async def release(request: Request, submission_id: UUID) -> Response:
    services: Services = runtime_of(request).attached["services"]
    answer = await services.ask(request, "capture", "POST", path_of("v1", "quarantine", submission_id, "release"))
    if answer.ok:
        return RedirectResponse("/quarantine", 303)
    return await _page(request, error=answer.problem, status=answer.status or 502)


async def _page(request: Request, after: str = "", error: str = "", status: int = 200) -> Response:
    services: Services = runtime_of(request).attached["services"]
    found = await services.get(request, "capture", "/v1/quarantine", **({"cursor": after} if after else {}))
    follows = found.said.get("next") if found.ok else None
    shown: dict[str, object] = {
        "submissions": [_line(item) for item in found.said["items"]] if found.ok else [],
        "may_release": Scope.work in request.state.visitor.key.scopes,
        "problem": found.problem,
        "error": error,
        "next_url": f"/quarantine?after={follows}" if follows else "",
    }
    return draw(request, "quarantine", "quarantine.html", shown, status)


def _line(item: dict[str, Any]) -> dict[str, object]:
    said = item["submission"]
    return {
        **{name: said[name] for name in ("company", "email", "phone", "message", "trap")},
        "submission_id": item["submission_id"],
        "who": said["name"] or said["email"] or said["phone"],
        "why": WHY.get(item["reason"], item["reason"].replace("_", " ")),
        "site": item["site"],
        "at": datetime.fromisoformat(item["received_at"]),
        "lead_id": item["lead_id"] if item["released_at"] else "",
    }
