"""Who may read: whoever has the operator's key, and with INSIGHTS_CONSOLE=open whoever sits at this machine."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from urllib.parse import urlsplit

from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from services.insights.settings import InsightsSettings
from shared.errors import Unauthorised
from shared.security import hash_key, is_operator
from shared.service import Runtime

ASK = {"WWW-Authenticate": 'Basic realm="Leadline console", charset="UTF-8"'}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def may_read(request: HTTPConnection) -> bool:
    return is_operator(request) or _has_password(request) or _sits_here(request)


class Reader(HTTPBearer):
    """The right to read, as a dependency of what programs and the console's scripts ask; raises `Unauthorised`."""

    def __init__(self) -> None:
        super().__init__(scheme_name="Operator's key", description="The key in LEADLINE_API_KEY.")

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        if not may_read(request):
            raise Unauthorised
        return None


async def console_reader(request: HTTPConnection) -> None:
    """The same for pages: a browser then asks its user for the key, as the password of any name."""
    if not may_read(request):
        raise HTTPException(401, "The operator's key is needed: any name, and the key as the password.", headers=ASK)


def _has_password(request: HTTPConnection) -> bool:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        _, _, key = base64.b64decode(sent.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return hmac.compare_digest(hash_key(key), request.app.state.operator_key_hash)


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
