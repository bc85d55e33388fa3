"""Pages for browsers: where to go on, and the demo landing page, whose form posts to capture, to try and to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.capture import views
from services.capture.domain.channel import CLICK_IDS, channel
from services.capture.domain.cleaning import slug, token
from services.capture.domain.web_address import web_address
from services.capture.room import Room, room_of
from shared.clock import uuid7
from shared.security import opened_by

SITE, SITE_KEY = "demo", "pk_demo"
CONVERSION_POINT = "demo"


@opened_by("anyone")
async def front(request: Request) -> Response:
    room = room_of(request)
    page = room.pages.get_template("front.html")
    return HTMLResponse(page.render(demo=room.settings.demo_site, console=room.settings.public_url_of("insights")))


@opened_by("anyone")
async def landing(request: Request) -> Response:
    room, source = room_of(request), _source(request)
    views.count(room, SITE, "form_views", source["source"], CONVERSION_POINT)
    return _page(room, source, {}, {}, 200, {})


@opened_by("anyone")
async def thanks(request: Request) -> Response:
    return HTMLResponse(room_of(request).pages.get_template("thanks.html").render())


@opened_by("anyone")
async def received(request: Request) -> Response:
    """Where the form of any site goes when it was taken and names no page of its own."""
    return HTMLResponse(room_of(request).pages.get_template("received.html").render())


@opened_by("anyone")
async def how_to_copy(request: Request) -> Response:
    room = room_of(request)
    page = room.pages.get_template("copy.html")
    return HTMLResponse(page.render(address=room.settings.public_url_of("capture"), site_key=SITE_KEY))


def page_again(
    room: Room,
    form: Mapping[str, str],
    problems: Sequence[Mapping[str, str]],
    detail: str,
    status: int,
    headers: Mapping[str, str],
) -> Response:
    """The page with all that was typed still in it, and what is wrong beside its field."""
    errors = {problem["name"]: {"text": problem["text"], "proposal": None} for problem in reversed(problems)}
    beside = {"name", "company", "email", "phone", "fields.pallets_a_week", "consent.contact", "consent.marketing"}
    if not errors.keys() & beside:
        errors["form"] = {"text": " ".join(p["text"] for p in problems) or detail, "proposal": None}
    source = {name.removeprefix("source."): value for name, value in form.items() if name.startswith("source.")}
    return _page(room, source, form, errors, status, headers)


def _page(
    room: Room,
    source: Mapping[str, str],
    values: Mapping[str, str],
    errors: Mapping[str, Mapping[str, str | None]],
    status: int,
    headers: Mapping[str, str],
) -> Response:
    page = room.pages.get_template("demo.html").render(
        site_key=SITE_KEY,
        submission_id=str(uuid7()),
        visitor_id=values.get("visitor_id", ""),
        source=source,
        values=values,
        errors=errors,
        action=f"/v1/leads?site={SITE_KEY}",
        thanks="/demo/thanks",
    )
    return HTMLResponse(page, status, headers=headers)


def _source(request: Request) -> dict[str, str]:
    asked, referrer = request.query_params, request.headers.get("referer", "")
    medium, source = token(asked.get("utm_medium", "")), token(asked.get("utm_source", ""))
    clicks = {f"click_ids.{name}": asked[name][:200] for name in CLICK_IDS if name in asked}
    ids = [name.removeprefix("click_ids.") for name in clicks]
    own_host = web_address(str(request.url)).host
    return {
        "channel": channel(slug(medium), slug(source), web_address(referrer).host, ids, own_host),
        "medium": medium,
        "source": source,
        "campaign": token(asked.get("utm_campaign", "")),
        "url": str(request.url)[:2000],
        "referrer": referrer[:2000],
        **clicks,
    }
