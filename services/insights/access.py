"""Who may read: whoever has a key for it, and with INSIGHTS_CONSOLE=open whoever sits at this machine."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from services.insights.settings import InsightsSettings
from shared.errors import Refused, Unauthorised
from shared.keys import Key, Keys, Scope
from shared.security import Bearer, allow, key_of
from shared.service import Runtime

ASK = {"WWW-Authenticate": 'Basic realm="Leadline console", charset="UTF-8"'}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Reader(Bearer):
    """A key with a scope, also as a password, as a dependency of what programs and the console's scripts ask.

    On an open console somebody at this machine who brings no key needs none. Raises as `Bearer`.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.opened_by = (scope, "this machine")

    async def __call__(self, request: HTTPConnection) -> None:
        if "authorization" in request.headers or not _sits_here(request):
            allow(key_of(request) or _key_as_password(request), self.scope)

    async def during(self, request: HTTPConnection, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The stream for as long as the request would still be let in: a key may be taken back in between."""
        async with aclosing(stream):
            with suppress(Refused):
                async for part in stream:
                    await self(request)
                    yield part


class PageReader(Reader):
    """The same for pages: a browser then asks its user for the key, as the password of any name."""

    async def __call__(self, request: HTTPConnection) -> None:
        try:
            await super().__call__(request)
        except Unauthorised:
            raise HTTPException(401, "A key is needed: any name, and the key as the password.", headers=ASK) from None


def _key_as_password(request: HTTPConnection) -> Key | None:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, _, given = base64.b64decode(sent.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    keys: Keys = request.app.state.keys
    return keys.find(given)


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
