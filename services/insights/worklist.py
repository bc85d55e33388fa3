"""The worklist: for a rep what is theirs, the next lead large; for those who distribute leads all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Request, Response

from services.insights.domain.words import answers_to_choose
from services.insights.frame import draw, page_router, settings_of
from services.insights.services import Services
from shared.keys import Scope
from shared.service import runtime_of

# Read where the people stand, who are named on it.
router = page_router(Scope.card, or_rep=True)


@router.get("/worklist")
async def worklist(request: Request, after: str = "") -> Response:
    return await show_worklist(request, after)


async def show_worklist(request: Request, after: str = "", problem: str = "", status: int = 200) -> Response:
    """`problem` says what handover said against an answer."""
    services: Services = runtime_of(request).attached["services"]
    found = await services.get(request, "handover", "/v1/worklist", **({"cursor": after} if after else {}))
    follows = found.said.get("next") if found.ok else None
    key = request.state.visitor.key
    shown: dict[str, object] = {
        "leads": [_item(item) for item in found.said["items"]] if found.ok else [],
        "own": key.rep is not None,
        "sees_leads": Scope.card in key.scopes,
        "choices": answers_to_choose(settings_of(runtime_of(request)).currency),
        "problem": found.problem or problem,
        "next_url": f"/worklist?after={follows}" if follows else "",
    }
    return draw(request, "worklist", "worklist.html", shown, status)


def _item(item: dict[str, Any]) -> dict[str, object]:
    times = {name: datetime.fromisoformat(item[name]) if item[name] else None for name in ("due_at", "since")}
    who = item["name"] or item["company"] or f"Lead {item['lead_id'][-4:]}"
    return {**item, **times, "who": who}
