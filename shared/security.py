"""Who may ask, and which links are ours: the operator's key, signed tokens, hashed keys, blinded addresses."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
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


def require_operator(request: HTTPConnection) -> None:
    """For routes outside FastAPI; raises `Unauthorised`."""
    if not is_operator(request):
        raise Unauthorised


class Bearer(HTTPBearer):
    """The operator's key as a dependency: `APIRouter(dependencies=[Depends(Bearer())])`; raises `Unauthorised`."""

    def __init__(self) -> None:
        super().__init__(scheme_name="Operator's key", description="The key in LEADLINE_API_KEY.")

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        require_operator(request)
        return None


def new_key(prefix: str) -> str:
    """A key of 256 random bits: `new_key("sk_")`. Show it once and keep `hash_key` of it."""
    return prefix + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is stored of a key. One fast hash suffices for 256 random bits; it would not for a password."""
    return hashlib.sha256(key.encode()).hexdigest()


def fingerprint(value: str, secret: bytes) -> str:
    """A normalised address made unreadable yet comparable, so that a suppression outlives the erasure of the person."""
    return hmac.digest(_derived(secret, "fingerprint"), value.encode(), "sha256").hex()


class Signer:
    """Tokens for links, each good for one purpose. No personal data inside: anyone can read what is only signed.

    A token is `<key id>.<value and expiry>.<signature>`. With several secrets the first signs and all are accepted,
    which is how a secret is changed without breaking the links in mails already sent.
    """

    def __init__(self, purpose: str, secret: bytes | Sequence[bytes]) -> None:
        given = [secret] if isinstance(secret, bytes) else list(secret)
        keys = [_derived(one, f"sign {purpose}") for one in given]
        self._serializers = {hashlib.sha256(key).hexdigest()[:6]: _serializer(key, purpose) for key in keys}
        self._newest = next(iter(self._serializers))

    def sign(self, value: object, expires: datetime | None = None) -> str:
        """`value` is anything JSON can say: `signer.sign(str(offer_id), expires=now + timedelta(days=7))`."""
        until = int(expires.timestamp()) if expires else None
        return f"{self._newest}.{self._serializers[self._newest].dumps([value, until])}"

    def read(self, token: str, now: datetime) -> Any:
        """The signed value. Raises `BadLink` for a token that is not ours or not for this purpose, or `ExpiredLink`."""
        key_id, _, signed = token.partition(".")
        serializer = self._serializers.get(key_id)
        if serializer is None:
            raise BadLink
        try:
            value, until = serializer.loads(signed)
        except (BadData, ValueError, TypeError):
            raise BadLink from None
        if until is not None and now.timestamp() >= until:
            raise ExpiredLink
        return value


def _serializer(key: bytes, purpose: str) -> URLSafeSerializer:
    # itsdangerous signs with SHA-1 unless told otherwise.
    return URLSafeSerializer(
        key, salt=purpose, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    )


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"leadline {purpose}".encode(), "sha256")
