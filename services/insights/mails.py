"""The pages with the mails that nurture and handover kept as files because no mail server is set."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Request, Response

from services.insights.frame import draw, page_router
from services.insights.services import Answer, Away, Services, path_of
from shared.errors import NotFound
from shared.keys import Scope
from shared.service import runtime_of

router = page_router(Scope.card)


@router.get("/mails")
async def mails(request: Request, after: str = "") -> Response:
    services: Services = runtime_of(request).attached["services"]
    found = await services.get(request, "nurture", "/v1/mails", **({"cursor": after} if after else {}))
    follows = found.said.get("next") if found.ok else None
    shown: dict[str, object] = {
        "mails": [_with_time(mail) for mail in found.said["items"]] if found.ok else [],
        "folder": found.said["folder"] if found.ok else None,
        "problem": found.problem,
        "next_url": f"/mails?after={follows}" if follows else "",
    }
    return draw(request, "mails", "mails.html", shown)


@router.get("/mails/{name}")
async def mail(request: Request, name: str) -> Response:
    found = await _mail(request, name)
    return draw(request, "mails", "mail.html", {"mail": _with_time(found.said)})


@router.get("/mails/{name}/file")
async def file(request: Request, name: str) -> Response:
    found = await _mail(request, name)
    saved = {"Content-Disposition": 'attachment; filename="mail.eml"'}
    return Response(found.said["source"].encode(), media_type="message/rfc822", headers=saved)


async def _mail(request: Request, name: str) -> Answer:
    services: Services = runtime_of(request).attached["services"]
    found = await services.get(request, "nurture", path_of("v1", "mails", name))
    if found.status in (404, 422):
        raise NotFound("There is no such mail.")
    if not found.ok:
        raise Away(found.problem)
    return found


def _with_time(mail: dict[str, Any]) -> dict[str, object]:
    return {**mail, "at": datetime.fromisoformat(mail["at"])}
