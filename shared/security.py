"""Who may ask, and which links are ours: keys with scopes, signed tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from fastapi.security import HTTPBearer
from itsdangerous import BadData, Serializer, URLSafeSerializer
from itsdangerous.encoding import base64_encode
from starlette.requests import HTTPConnection

from shared.clock import SystemClock
from shared.errors import NotFound, Refused, Unauthorised
from shared.keys import SCOPES, Key, Keys, Role, Scope

E = TypeVar("E", bound=Callable[..., Any])
OPENED_BY = "opened_by"


class BadLink(NotFound):
    """This link is not valid, or not complete."""

    title = "Not a valid link"


class ExpiredLink(Refused):
    """This link is no longer valid."""

    status = 410
    title = "Link expired"


class MissingScope(Refused):
    """This key is not for that."""

    status = 403
    title = "Not allowed"


def opened_by(*ways: str) -> Callable[[E], E]:
    """Says of a route without a guard who may ask it: scopes, or a word of `deploy.key_matrix`."""
    return lambda endpoint: setattr(endpoint, OPENED_BY, ways) or endpoint


def key_of(request: HTTPConnection) -> Key | None:
    """The key that the request carries, or that of who signed in; None without one and for one that is not known."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    keys: Keys = request.app.state.keys
    return keys.find(given.strip()) if scheme.lower() == "bearer" else None


def allow(key: Key | None, scope: Scope) -> Key:
    """The key, if it is for that. Raises `Unauthorised` where there is none, and `MissingScope`."""
    if key is None:
        raise Unauthorised
    if scope not in key.scopes:
        raise MissingScope(f"This key lacks the scope `{scope}`.", missing_scope=scope)
    return key


class Bearer(HTTPBearer):
    """A key with a scope as a dependency: `APIRouter(dependencies=[Depends(Bearer(Scope.read))])`; raises as `allow`.

    One router for each scope: then no route can be forgotten.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scheme_name="Key", description="The operator's key, or one with the scope that is needed.")
        self.scope = scope
        self.opened_by: tuple[str, ...] = (scope,)

    async def __call__(self, request: HTTPConnection) -> None:
        allow(key_of(request), self.scope)


class _Tokens(URLSafeSerializer):
    """Uncompressed: a token of a few words is none the shorter for it, and each attempt takes memory anew."""

    def dump_payload(self, obj: Any) -> bytes:  # pyright: ignore[reportIncompatibleMethodOverride]
        return base64_encode(Serializer[str].dump_payload(self, obj))


class Signer:
    """Tokens for links, each good for one purpose. No personal data inside: anyone can read what is only signed."""

    def __init__(self, purpose: str, secret: bytes) -> None:
        # itsdangerous signs with SHA-1 unless told otherwise.
        safely = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._tokens = _Tokens(secret, salt=f"leadline sign {purpose}", signer_kwargs=safely)

    def sign(self, value: object, expires: datetime | None = None) -> str:
        """`value` is anything JSON can say: `signer.sign(str(offer_id), expires=now + timedelta(days=7))`."""
        token: str | bytes = self._tokens.dumps([value, int(expires.timestamp()) if expires else None])
        assert isinstance(token, str)
        return token

    def read(self, token: str, now: datetime) -> Any:
        """The signed value. Raises `BadLink` for a token that is not ours or not for this purpose, or `ExpiredLink`."""
        try:
            value, until = self._tokens.loads(token)
        except (BadData, ValueError, TypeError):
            raise BadLink from None
        if until is not None and now.timestamp() >= until:
            raise ExpiredLink
        return value


class Sessions:
    """Tokens by which the console asks the services for somebody who signed in. All services share the secret."""

    def __init__(self, secret: bytes) -> None:
        self.signer = Signer("session", secret)

    def find(self, token: str) -> Key | None:
        """The key of a token that signs `[account, role, rep]`; None for one that is not ours or whose time is over."""
        try:
            account, role, rep = self.signer.read(token, SystemClock().now())
        except (BadLink, ExpiredLink):
            return None
        return Key(account, role, "", SCOPES[Role(role)], rep=UUID(rep) if rep else None)
