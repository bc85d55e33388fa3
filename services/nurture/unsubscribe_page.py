"""The link in every mail. Opening it changes nothing, since mail scanners open links; its button, or the one click
that a mail program makes of it (RFC 8058), takes the reader off."""

from __future__ import annotations

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from services.nurture.domain.nurtured import Nurtured
from services.nurture.letters import Links
from services.nurture.settings import NurtureSettings
from services.nurture.unsubscribing import unsubscribe
from shared.security import BadLink, opened_by
from shared.service import Runtime, runtime_of

PATH = "/u/"


def routes(pages: Environment) -> list[BaseRoute]:
    @opened_by("signed link")
    async def answer(request: Request) -> Response:
        runtime: Runtime[Nurtured] = runtime_of(request)
        settings = runtime.settings
        assert isinstance(settings, NurtureSettings)

        def page(state: str, status: int, flying: bool = False) -> Response:
            html = pages.get_template("unsubscribe.html").render(state=state, company=settings.company, flying=flying)
            return HTMLResponse(html, status, headers={"X-Robots-Tag": "noindex"})

        links = Links(settings.public_url_of("nurture"), settings.secret)
        try:
            asked = links.read(request.path_params["token"], runtime.clock.now())
        except BadLink:
            return page("over", 404)
        if request.method != "POST":
            return page("ask", 200)
        # 200 promises that no mail leaves from now on; while one is still being sent, only 202 is true.
        flying = bool(await unsubscribe(runtime, asked))
        return page("done", 202 if flying else 200, flying)

    return [Route(f"{PATH}{{token}}", answer, methods=["GET", "POST"])]
