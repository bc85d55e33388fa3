"""Which web pages may post for which site: CORS by site key, for the paths that browsers of others call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import problem

AllowedOrigins = Callable[[str | None], Awaitable[Collection[str]]]
"""The origins of a site key, none for an unknown key; for None those of all sites together."""

_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class SiteCors:
    """Answers preflights and lets the pages of a site, and only they, read what their posts are answered.

    The key is read from `X-Site-Key` or the query's `site`. A preflight carries no headers of the request to come, so
    without a key in the query it is held against the origins of all sites, and the request itself against its key's.
    A key in a form's body is for the route to check, with `origin_allowed`. Never `*`, never credentials.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_origins: AllowedOrigins,
        paths: Collection[str],
        methods: str = "POST",
        headers: str = "Content-Type, Idempotency-Key, X-Site-Key, Traceparent",
        exposed: str = "Retry-After, X-Request-Id",
    ) -> None:
        self._app = app
        self._allowed_origins = allowed_origins
        self._paths = frozenset(paths)
        self._preflight = {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": headers,
            "Access-Control-Max-Age": "600",
        }
        self._exposed = exposed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._paths:
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if scope["method"] == "OPTIONS" and origins and "access-control-request-method" in headers:
            answer = await self._answer_preflight(scope, origins)
            return await answer(scope, receive, send)
        return await self._answer(scope, receive, send, headers, origins)

    async def _answer_preflight(self, scope: Scope, origins: list[str]) -> Response:
        if not await self._allows(scope, origins, _key(scope)):
            return problem(403, detail="This origin may not post here.", headers={"Vary": _PREFLIGHT_VARY})
        allow = {"Access-Control-Allow-Origin": origins[0], "Vary": _PREFLIGHT_VARY, **self._preflight}
        return Response(status_code=204, headers=allow)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Headers, origins: list[str]) -> None:
        key = (headers.get("x-site-key") or _key(scope)) if origins else None
        allowed = bool(origins) and await self._allows(scope, origins, key)

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Also where there is none: a cache must not hand one site's answer to another.
                message["headers"].append((b"vary", b"Origin"))
                if allowed:
                    answer = MutableHeaders(scope=message)
                    answer["Access-Control-Allow-Origin"] = origins[0]
                    answer["Access-Control-Expose-Headers"] = self._exposed
            await send(message)

        if key and not allowed:
            refusal = problem(403, detail="This site key is not for pages of this origin.")
            return await refusal(scope, receive, send_with_origin)
        return await self._app(scope, receive, send_with_origin)

    async def _allows(self, scope: Scope, origins: list[str], key: str | None) -> bool:
        host = Headers(scope=scope).get("host", "")
        return len(origins) == 1 and origin_allowed(origins[0], await self._allowed_origins(key), host)


def origin_allowed(origin: str, allowed: Collection[str], host: str = "") -> bool:
    """Whether pages of `origin` may post: it is listed letter for letter, or the page came from this very `host`.

    `null` (sandboxed frames, local files) is never allowed, also where a list holds it.
    """
    if origin == "null":
        return False
    # TLS may end before us, so the scheme we see need not be the one the page was loaded with.
    return origin in allowed or (bool(host) and urlsplit(origin).netloc == host)


def _key(scope: Scope) -> str | None:
    return parse_qs(scope["query_string"].decode("latin-1")).get("site", [None])[0]
