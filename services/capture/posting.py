"""POST /v1/leads: JSON from scripts and servers, and plain HTML forms that want a page back."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.capture import demo, metrics
from services.capture.acceptance import Answer, Ask
from services.capture.access import Sender, ip_prefix, sender_of
from services.capture.bodies import LeadBody, read_lead
from services.capture.cors import origin_allowed
from services.capture.form import flat_name, is_form, lead_of, read_form
from services.capture.intake import intake_of
from services.capture.parsing import Context, body_hash, understand
from services.capture.repeatable import Key
from services.capture.room import Room, room_of
from shared.clock import uuid7
from shared.errors import Malformed, Problem, Unavailable
from shared.keys import Scope
from shared.security import opened_by
from shared.trace import traceparent

THANKS = "/thanks"


@opened_by("site key", Scope.post)
async def post_lead(request: Request) -> Response:
    """202 with `submission_id` once it is durable; for a form 303 to its next page, or a page with what is wrong."""
    raw = await request.body()
    # curl calls JSON a form when nobody tells it otherwise. No form begins with a brace: browsers escape it.
    if is_form(request.headers.get("content-type", "")) and not raw.lstrip().startswith(b"{"):
        return await _post_form(request, raw)
    room = room_of(request)
    body = read_lead(raw)
    sender = await sender_of(request, room.sites, body.site)
    answer = await _take(request, room, body, sender)
    return _accepted(answer, sender)


def _accepted(answer: Answer, sender: Sender) -> Response:
    """A site key learns nothing: the answer is the same for somebody new, known, or put aside."""
    said: dict[str, object] = {"submission_id": answer.submission_id}
    if sender.trusted:
        said |= {"lead_id": answer.lead_id, "created": answer.created}
    return Response(msgspec.json.encode(said), 202, media_type="application/json")


async def _take(request: Request, room: Room, body: LeadBody, sender: Sender) -> Answer:
    key = Key.given(sender.holder, request.headers.get("idempotency-key") or body.submission_id)
    try:
        submission = understand(body, _context(request, room, body, sender))
    except Malformed:
        metrics.SUBMISSIONS.labels("", "refused").inc()
        raise
    ask = Ask(
        submission,
        key,
        body_hash(body, room.secret) if key else b"",
        traceparent(),
    )
    return await intake_of(room.runtime).take(ask)


def _context(request: Request, room: Room, body: LeadBody, sender: Sender) -> Context:
    site = sender.site
    return Context(
        submission_id=uuid7(),
        now=room.runtime.clock.now(),
        site=sender.site_name,
        policy=site.policy if site else "contact_valid",
        product=site.product if site else "",
        region=(site.region if site else "") or room.settings.phone_region,
        currency=room.settings.currency,
        test=site.test if site else False,
        trusted=sender.trusted,
        sender="person" if sender.trusted else "lead",
        ip_prefix=ip_prefix(request) if body.consent else "",
        types=room.activity_types,
    )


async def _post_form(request: Request, raw: bytes) -> Response:
    room = room_of(request)
    form: dict[str, str] = {}
    try:
        form = await read_form(request, raw)
        sender = await sender_of(request, room.sites, form.get("site"))
        body = lead_of(form)
        answer = await _take(request, room, body, sender)
    except Problem as error:
        if not _wants_page(request):
            raise
        return await _error_page(request, room, form, error)
    if not _wants_page(request):
        return _accepted(answer, sender)
    return RedirectResponse(await _next_page(request, room, sender, form.get("redirect", "")), 303)


def _wants_page(request: Request) -> bool:
    """A browser that leaves the page says that it takes HTML; a script says that it takes JSON, or anything."""
    accepts = request.headers.get("accept", "*/*").lower()
    return "text/html" in accepts or "application/json" not in accepts


async def _next_page(request: Request, room: Room, sender: Sender, wanted: str) -> str:
    """Where the form wants to go, if that is a page of its site or of ours; else our thanks."""
    origin = request.headers.get("origin", "")
    origins = await room.sites.origins(sender.site.key) if sender.site else ()
    own = f"{request.url.scheme}://{request.url.netloc}"
    base = origin if origin and origin_allowed(origin, origins) else own
    if not wanted or any(ord(sign) <= 32 or sign == "\\" for sign in wanted):
        return THANKS
    try:
        target = urlsplit(urljoin(f"{base}/", wanted))
        there = f"{target.scheme}://{target.netloc}"
    except ValueError:
        return THANKS
    allowed = target.scheme in ("http", "https") and "@" not in target.netloc
    if allowed and (there == own or origin_allowed(there.lower(), origins)):
        return target.geturl()
    return THANKS


async def _error_page(request: Request, room: Room, form: Mapping[str, str], error: Problem) -> Response:
    problems = error.problems if isinstance(error, Malformed) else ()
    named = [{"name": flat_name(pointer) or "form", "text": _sentence(why)} for pointer, why in problems]
    headers = _headers_of(error)
    if form.get("page") == "demo":
        return demo.page_again(room, form, named, error.detail, error.status, headers)
    page = room.pages.get_template("form_error.html")
    detail = "" if named else error.detail
    body = page.render(problems=named, detail=detail, back=await _back(request, room, form))
    return Response(body, error.status, media_type="text/html", headers=headers)


def _headers_of(error: Problem) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}


def _sentence(why: str) -> str:
    return why[:1].upper() + why[1:] + ("" if why.endswith((".", "?")) else ".")


async def _back(request: Request, room: Room, form: Mapping[str, str]) -> str:
    """The page of the form, if it is one of the site's."""
    referrer = request.headers.get("referer", "")
    key = request.headers.get("x-site-key") or request.query_params.get("site") or form.get("site")
    parts = urlsplit(referrer)
    if not key or parts.scheme not in ("http", "https"):
        return ""
    origin = f"{parts.scheme}://{parts.netloc}"
    return referrer if origin_allowed(origin, await room.sites.origins(key), request.headers.get("host", "")) else ""
