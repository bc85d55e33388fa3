"""What every service is over HTTP: errors as problem documents, bounded bodies, traces, figures, and how it feels.

All middleware is plain ASGI: BaseHTTPMiddleware runs the route in a task of its own, and a caller that hangs up then
cancels it in the middle of a database call.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, partial
from http import HTTPMethod
from inspect import iscoroutinefunction
from pathlib import Path
from secrets import token_bytes
from time import perf_counter

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from shared import metrics
from shared.clock import uuid7
from shared.database import is_transient
from shared.errors import Problem
from shared.gate import Gate
from shared.keys import Keys
from shared.pages import CONTENT_SECURITY_POLICY
from shared.problems import MEDIA_TYPE, answer, answer_to, problem
from shared.security import Sessions
from shared.trace import traced

log = structlog.get_logger()

Ready = Callable[[], Awaitable[object]]
"""Raises when its part is not ready; what it returns does not matter."""

READY_SECONDS = 1.0
API_PAGE = Path(__file__).parent / "pages" / "api"

_ALWAYS = ("/livez", "/readyz", "/metrics")
_METHODS = frozenset(HTTPMethod)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OUR_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # Signed links must not leave in a Referer. Not `no-referrer`: browsers then post forms with `Origin: null`.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def build_app(
    service: str,
    routers: Sequence[APIRouter] = (),
    *,
    operator_key: str,
    keys_file: Path | None = None,
    secret: bytes | None = None,
    routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan[FastAPI] | None = None,
    ready: Mapping[str, Ready] | None = None,
    body_bytes: Mapping[str, int] | None = None,
    middleware: Sequence[Middleware] = (),
    always: Sequence[str] = (),
) -> FastAPI:
    """The app of a service.

    `routes` are plain Starlette routes and mounts, for hot paths and pages; their errors are said in the same way.
    `secret` is what sessions are signed with; without one nobody can have signed in.
    `body_bytes` raises the cap of 64 kB for exact paths, up to 1 MB: `{"/v1/activities": 1_000_000}`.
    `ready` names the parts that /readyz asks, each a coroutine function that raises when it is not.
    `middleware` runs inside the error answers and outside the gate: the place of `SiteCors`.
    `always` begins the paths that are answered however many are being answered, as health is.
    """
    app = FastAPI(
        title=f"Leadline {service}",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Before Starlette's own answer to a bug, which is text.
        middleware=[Middleware(Errors)],
        exception_handlers=dict.fromkeys((HTTPException, RequestValidationError, Problem), answer),
        responses={"default": {"description": "A problem document (RFC 9457)", "content": {MEDIA_TYPE: {}}}},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.keys = Keys(operator_key, keys_file, Sessions(secret or token_bytes(32)).find)
    # Set when the server begins to stop: streams that would never end by themselves watch it.
    app.state.stopping = asyncio.Event()
    app.router.routes.extend([*routes, *_own_routes(ready or {})])
    for router in routers:
        app.include_router(router)
    found = PlainRoutes(app.build_middleware_stack(), routes)
    inner: ASGIApp = Gate(found, body_bytes or {}, (*_ALWAYS, *always))
    # Inside `middleware` too, so that the answers to errors of the routes pass through it like any other.
    inner = Errors(inner) if middleware else inner
    for one in reversed(middleware):
        inner = one.cls(inner, *one.args, **one.kwargs)
    app.middleware_stack = Edge(Errors(inner), service)
    return app


def route_template(scope: Scope) -> str:
    """`/v1/leads/{lead_id}`, whatever the id was; `(none)` where no route was found."""
    # FastAPI keeps the template of an included router's route beside the route, which does not know its prefix.
    found = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template: str | None = getattr(found, "path_format", None)
    return template or "(none)"


class Edge:
    """Outermost: gives every request an id and a place in a trace, every answer its headers, and counts both."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        # With its labels looked up once: that takes as long as all the rest of it.
        self._seconds = cache(partial(metrics.HTTP_SECONDS.labels, service))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict[bytes, bytes](scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid7())
        started = perf_counter()

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["started"] = True
                message["headers"] = _marked(list(message.get("headers", ())), request_id)
                method = scope["method"] if scope["method"] in _METHODS else "other"
                seconds = self._seconds(method, route_template(scope), str(message["status"]))
                seconds.observe(perf_counter() - started)
            await send(message)

        state = scope.setdefault("state", {})
        state["request_id"], state["started"] = request_id, False
        with traced(headers.get(b"traceparent", b"").decode("latin-1")):
            return await self._app(scope, receive, send_marked)


def _marked(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with ours added; those that a route has set itself stand."""
    given = {name for name, _ in headers}
    ours = [pair for pair in _OUR_HEADERS if pair[0] not in given]
    if b"etag" in given and b"cache-control" not in given:
        # A file with a tag may be kept if it is asked about; an answer about a person may not be kept at all.
        ours[-1] = (b"cache-control", b"no-cache")
    return [*headers, *ours, (b"x-request-id", request_id.encode())]


class Errors:
    """Answers what nobody else did. A bug is logged with its place and told to the caller as 500, no more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            if scope["type"] != "http" or scope["state"]["started"]:
                raise
            said = answer_to(error)
            if is_transient(error):
                log.warning("request met an outage", route=route_template(scope), error=error)
            elif said.status_code == 500:
                log.exception("request failed", route=route_template(scope), request_id=scope["state"]["request_id"])
            await said(scope, receive, send)


class PlainRoutes:
    """Finds plain routes without parameters by method and path; all others are for the app inside.

    Hot paths are among them: FastAPI's own layers cost a request as much as all that capture makes of it.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in reversed(routes)
            if isinstance(route, Route) and not route.param_convertors and iscoroutinefunction(route.endpoint)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            return await self._app(scope, receive, send)
        scope["route"], scope["path_params"] = route, {}
        response: Response = await route.endpoint(Request(scope, receive, send))
        return await response(scope, receive, send)


def _own_routes(ready: Mapping[str, Ready]) -> list[BaseRoute]:
    async def livez(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def readyz(_request: Request) -> Response:
        states = dict(zip(ready, await asyncio.gather(*map(_state_of, ready.values())), strict=True))
        missing = [name for name, state in states.items() if state != "ready"]
        if missing:
            return problem(503, detail=f"Not ready: {', '.join(missing)}.", headers={"Retry-After": "1"}, parts=states)
        return JSONResponse({"ready": True, "parts": states})

    async def figures(_request: Request) -> Response:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def docs(_request: Request) -> Response:
        return FileResponse(API_PAGE / "index.html")

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", figures),
        Route("/docs", docs),
        Mount("/docs", StaticFiles(directory=API_PAGE)),
    ]


async def _state_of(part: Ready) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await part()
    except Problem as error:
        return error.detail
    except Exception as error:
        # The kind only: messages of drivers hold hosts and users, and /readyz asks for no key.
        return type(error).__name__
    return "ready"
