"""An address made unreadable yet comparable, so that a suppression outlives the erasure of the person."""

from __future__ import annotations

import hmac


def fingerprint(address: str, secret: bytes) -> str:
    """64 hex digits, equal for equal addresses; normalise the address first."""
    key = hmac.digest(secret, b"leadline fingerprint", "sha256")
    return hmac.digest(key, address.encode(), "sha256").hex()
