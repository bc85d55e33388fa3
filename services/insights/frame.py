"""How a page of the console is drawn, in the frame of whoever asks, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment

from services.insights.access import Reader
from services.insights.navigation import OWN, console
from services.insights.settings import InsightsSettings
from shared.errors import NotFound, Problem, Unauthorised
from shared.events.topics import SERVICES
from shared.keys import Scope
from shared.security import MissingScope
from shared.service import Runtime, runtime_of


class PageRoute(APIRoute):
    """A route whose refusals are pages too, to sign in or to go elsewhere; a program is told as everywhere."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, RequestValidationError) as error:
                if "authorization" in request.headers:
                    raise
                if isinstance(error, Unauthorised):
                    return sign_in_page(request, _way_back(request), 401)
                # An address that somebody typed, or cut off: what is wrong in it is for programs.
                return _said(request, error if isinstance(error, Problem) else NotFound("There is no such page."))

        return as_page


def page_router(scope: Scope, *, or_rep: bool = False, prefix: str = "") -> APIRouter:
    """For pages, and what is posted on them, of whoever has the scope; with `or_rep` also of every rep."""
    return APIRouter(
        prefix=prefix,
        dependencies=[Depends(Reader(scope, or_rep=or_rep))],
        route_class=PageRoute,
        include_in_schema=False,
        default_response_class=HTMLResponse,
    )


def draw(request: Request, place: str, template: str, variables: Mapping[str, object], status: int = 200) -> Response:
    """A page for whoever the guard of the route has let in."""
    runtime: Runtime[Any] = runtime_of(request)
    settings = settings_of(runtime)
    addresses = {name: "" if name == OWN else settings.public_url_of(name) for name in SERVICES}
    # With a mail server of its own an installation has no mails to look at here.
    without = ("mails",) if settings.smtp_url else ()
    frame = console(place, addresses, settings.company, request.state.visitor, without)
    return _html(runtime, template, {"console": frame, "now": runtime.clock.now(), **variables}, status)


def sign_in_page(request: Request, there: str, status: int, name: str = "", error: str = "", wait: int = 0) -> Response:
    """`there` is where to go then; `wait` the seconds until the next try is taken."""
    runtime: Runtime[Any] = runtime_of(request)
    said = {"company": settings_of(runtime).company, "there": there, "name": name, "error": error}
    page = _html(runtime, "sign_in.html", said, status)
    page.headers.update({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    page.headers.update({"Retry-After": str(wait)} if wait else {})
    return page


def settings_of(runtime: Runtime[Any]) -> InsightsSettings:
    settings = runtime.settings
    assert isinstance(settings, InsightsSettings)
    return settings


def _said(request: Request, problem: Problem) -> Response:
    another = isinstance(problem, MissingScope)
    nobody = another and not request.state.visitor.name
    shown = {
        "title": problem.title,
        "words": "Somebody with another role can open it." if another else problem.detail,
        "sign_in": "/sign-in?" + urlencode({"to": _way_back(request)}) if nobody else "",
    }
    return draw(request, "", "refused.html", shown, problem.status)


def _html(runtime: Runtime[Any], template: str, variables: Mapping[str, object], status: int) -> Response:
    pages: Environment = runtime.attached["pages"]
    return HTMLResponse(pages.get_template(template).render(variables), status)


def _way_back(request: Request) -> str:
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
