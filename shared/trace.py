"""The trace an effect belongs to, from the first request to the last mail: W3C Trace Context, version 00.

It is carried as its header: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`, where the first part in the
middle is one for the whole way and the second one per step.
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_current: ContextVar[str] = ContextVar("leadline_trace", default="")


def step(given: str | None = None) -> str:
    """The next step of the trace `given`, or the first of a new one when that is missing or unreadable.

    The standard has us ignore what is not as it says; a later version may have more parts, version 00 not.
    """
    found = _TRACEPARENT.fullmatch(given or "")
    if found is None or (found[1] == "00" and found[4]):
        return f"00-{_hex(128)}-{_hex(64)}-00"
    return f"00-{found[2]}-{_hex(64)}-{found[3]}"


def _hex(bits: int) -> str:
    """Never all zeros, which the standard keeps for none. It guards nothing, so it need not cost a system call."""
    return f"{random.getrandbits(bits) | 1:0{bits // 4}x}"


def traceparent() -> str:
    """The header that carries this work's trace on, as events and outgoing requests bear it; empty outside one."""
    return _current.get()


@contextmanager
def traced(given: str | None = None) -> Generator[str]:
    """Work inside is one more step of the trace `given`, or the first of a new one; answers its header."""
    token = _current.set(step(given))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
