"""Pages for whoever looks after the installation: events that are held, sites, keys and accounts."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs, urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from services.insights.accounts import read_accounts
from services.insights.frame import draw, page_router, settings_of
from services.insights.services import Services, path_of
from shared.events.topics import SERVICES
from shared.keys import Scope, read_keys
from shared.service import runtime_of

for_read, for_configure, for_operate = page_router(Scope.read), page_router(Scope.configure), page_router(Scope.operate)
routers = (for_read, for_configure, for_operate)

HELD = {
    "failed": "Failed",
    "behind": "Waits for the one before",
    "gap": "Waits for one still to come",
    "card": "Waits for the card",
}
Deed = Literal["retry", "release", "skip"]
POLICIES = {"contact_valid": "an address that works", "none": "nothing"}


@for_operate.get("/held")
async def held(request: Request, did: Deed = "retry", events: int | None = None) -> Response:
    return await _held(request, "" if events is None else _follows(did, events))


@for_operate.post("/held/{deed}")
async def tend(request: Request, deed: Deed) -> Response:
    form = await read_form(request)
    service, lead_id = form.get("service", ""), form.get("lead", "")
    if service not in SERVICES:
        return RedirectResponse("/held", 303)
    query, body = {"lead_id": lead_id}, None
    if deed != "retry":
        query, body = None, {"lead_id": lead_id, "reason": form.get("reason", "")}
    answer = await _services(request).ask(request, service, "POST", path_of("v1", "held", deed), query, body)
    if answer.ok:
        return RedirectResponse(f"/held?{urlencode({'did': deed, 'events': answer.said['events']})}", 303)
    return await _held(request, error=answer.problem)


async def _held(request: Request, said: str = "", error: str = "") -> Response:
    services = _services(request)
    answers = await asyncio.gather(*(services.get(request, name, "/v1/held") for name in SERVICES))
    found = [
        {"service": name, **event, "held_at": datetime.fromisoformat(event["held_at"]), "said": HELD[event["reason"]]}
        for name, answer in zip(SERVICES, answers, strict=True)
        for event in answer.said.get("items", ())
    ]
    shown: dict[str, object] = {
        "events": sorted(found, key=lambda event: event["held_at"]),
        "problems": [answer.problem for answer in answers if not answer.ok],
        "more": any(answer.said.get("next") for answer in answers),
        "said": said,
        "error": error,
    }
    return draw(request, "held", "held.html", shown, 422 if error else 200)


def _follows(deed: Deed, events: int) -> str:
    if not events:
        return "Nothing had failed."
    many = "1 event" if events == 1 else f"{events:,} events"
    one = events == 1
    if deed == "skip":
        return f"{many} {'counts' if one else 'count'} as heard within a second or two, without effect."
    return f"{many} {'is' if one else 'are'} tried again within a second or two."


@for_read.get("/sites")
async def sites(request: Request) -> Response:
    return await _sites(request)


@for_configure.post("/sites")
async def keep_site(request: Request) -> Response:
    """What cannot be taken is said above the form, which keeps what was typed."""
    form = await read_form(request)
    body = {
        "name": form.get("name", "").strip(),
        "origins": form.get("origins", "").split(),
        "policy": form.get("policy", ""),
        "test": "test" in form,
    }
    answer = await _services(request).ask(request, "capture", "PUT", "/v1/sites", body=body)
    if answer.ok:
        return RedirectResponse(f"/sites?{urlencode({'made': answer.said['key']})}", 303)
    return await _sites(request, form, answer.problem)


@for_configure.post("/sites/remove")
async def remove_site(request: Request) -> Response:
    form = await read_form(request)
    await _services(request).ask(request, "capture", "DELETE", path_of("v1", "sites", form.get("key", "")))
    return RedirectResponse("/sites", 303)


@for_operate.get("/keys")
async def keys(request: Request) -> Response:
    """The files belong to whoever runs the installation: they are shown here, and changed by the command alone."""
    settings = settings_of(runtime_of(request))
    shown: dict[str, object] = {
        "keys": [
            {"id": key.id, "name": key.name, "scopes": [s for s in Scope if s in key.scopes], "at": key.created_at}
            for key in read_keys(settings.keys_file)
        ],
        "accounts": [
            {"name": one.name, "role": one.role.replace("_", " "), "at": one.created_at}
            for one in read_accounts(settings.accounts_file)
        ],
    }
    return draw(request, "keys", "keys.html", shown)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; of one that comes twice the last."""
    posted = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in posted.items()}


async def _sites(request: Request, form: dict[str, str] | None = None, error: str = "") -> Response:
    found = await _services(request).get(request, "capture", "/v1/sites")
    shown: dict[str, object] = {
        "sites": found.said["items"] if found.ok else [],
        "problem": found.problem,
        "policies": POLICIES,
        "may_change": Scope.configure in request.state.visitor.key.scopes,
        "made": request.query_params.get("made", ""),
        "values": form or {},
        "error": error,
    }
    return draw(request, "sites", "sites.html", shown, 422 if error else 200)


def _services(request: Request) -> Services:
    services: Services = runtime_of(request).attached["services"]
    return services
