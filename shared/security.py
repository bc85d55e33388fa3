"""Who may ask, and which links are ours: the operator's key, hashed keys, signed tokens."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any

from fastapi.security import HTTPBearer
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import HTTPConnection

from shared.errors import NotFound, Refused, Unauthorised


class BadLink(NotFound):
    """This link is not valid, or not complete."""

    title = "Not a valid link"


class ExpiredLink(Refused):
    """This link is no longer valid."""

    status = 410
    title = "Link expired"


def is_operator(request: HTTPConnection) -> bool:
    """Whether the request carries the operator's key that `build_app` was given; compared in constant time."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    expected: str = request.app.state.operator_key_hash
    return scheme.lower() == "bearer" and hmac.compare_digest(hash_key(key.strip()), expected)


class Bearer(HTTPBearer):
    """The operator's key as a dependency: `APIRouter(dependencies=[Depends(Bearer())])`; raises `Unauthorised`."""

    def __init__(self) -> None:
        super().__init__(scheme_name="Operator's key", description="The key in LEADLINE_API_KEY.")

    async def __call__(self, request: HTTPConnection) -> None:
        if not is_operator(request):
            raise Unauthorised


def hash_key(key: str) -> str:
    """What is stored of a key. One fast hash suffices for 256 random bits; it would not for a password."""
    return hashlib.sha256(key.encode()).hexdigest()


class Signer:
    """Tokens for links, each good for one purpose. No personal data inside: anyone can read what is only signed."""

    def __init__(self, purpose: str, secret: bytes) -> None:
        # itsdangerous signs with SHA-1 unless told otherwise.
        safely = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._tokens = URLSafeSerializer(secret, salt=f"leadline sign {purpose}", signer_kwargs=safely)

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
