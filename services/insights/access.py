"""Who may read: whoever signed in or has a key for it, and with INSIGHTS_CONSOLE=open whoever sits at this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from services.insights.session import AT_THIS_MACHINE, SignedIn, Visitor
from services.insights.settings import InsightsSettings
from shared.errors import Refused, Unauthorised
from shared.keys import SCOPES, Role, Scope
from shared.security import Bearer, allow, key_of
from shared.service import Runtime

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_READS = frozenset({"GET", "HEAD"})


class Reader(Bearer):
    """A scope as a dependency of what programs and the console ask: of a key, an account, or whoever sits here.

    What a browser sends along by itself opens a form only when a page of ours has sent it. Raises as `Bearer`, and
    `FromElsewhere`. Who it was is `request.state.visitor`.
    """

    def __init__(self, scope: Scope, *, or_rep: bool = False) -> None:
        super().__init__(scope)
        here = ("this machine",) if scope in SCOPES[Role.reader] else ()
        self.opened_by = (scope, *(("rep",) if or_rep else ()), *here)
        self.or_rep = or_rep

    async def __call__(self, request: HTTPConnection) -> None:
        visitor = await _visitor(request)
        if visitor is None:
            raise Unauthorised
        request.state.visitor = visitor
        if request.scope["method"] not in _READS and "authorization" not in request.headers:
            signed_in_of(request).check_origin(request)
        if not (self.or_rep and visitor.key.rep):
            allow(visitor.key, self.scope)

    async def during(self, request: HTTPConnection, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The stream for as long as the request would still be let in: a key may be taken back in between."""
        async with aclosing(stream):
            with suppress(Refused):
                async for part in stream:
                    await self(request)
                    yield part


def signed_in_of(request: HTTPConnection) -> SignedIn:
    runtime: Runtime[object] = request.app.state.runtime
    found: SignedIn = runtime.attached["signed_in"]
    return found


async def _visitor(request: HTTPConnection) -> Visitor | None:
    if "authorization" in request.headers:
        return Visitor(key) if (key := key_of(request)) else None
    return await _signed_in(request) or (AT_THIS_MACHINE if _sits_here(request) else None)


async def _signed_in(request: HTTPConnection) -> Visitor | None:
    runtime: Runtime[object] = request.app.state.runtime
    signed_in, signed_out = signed_in_of(request), runtime.attached["signed_out"]
    now = runtime.clock.now()
    session = signed_in.session(request, now)
    if session is None or session.id in await signed_out.known(now):
        return None
    return signed_in.visitor(session)


def _sits_here(request: HTTPConnection) -> bool:
    """Not through a proxy on this machine, nor through a foreign name that was made to point here."""
    runtime: Runtime[object] = request.app.state.runtime
    settings = runtime.settings
    assert isinstance(settings, InsightsSettings)
    if settings.console != "open" or request.client is None:
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _names_this_machine(request.headers.get("host", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or _is_loopback(name)
