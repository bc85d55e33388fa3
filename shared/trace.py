"""The trace an effect belongs to, from the first request to the last mail: W3C Trace Context, version 00."""

from __future__ import annotations

import random
import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Trace:
    """`trace_id` (32 hex digits) is one for the whole way, `span_id` (16) one per step."""

    trace_id: str
    span_id: str
    flags: str = "00"

    @property
    def traceparent(self) -> str:
        """As carried in headers: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def step(self) -> Trace:
        return replace(self, span_id=_hex(64))

    @classmethod
    def start(cls) -> Trace:
        return cls(_hex(128), _hex(64))

    @classmethod
    def parse(cls, traceparent: str | None) -> Trace | None:
        """None for anything the standard tells us to ignore; a later version may have more parts, version 00 not."""
        found = _TRACEPARENT.fullmatch(traceparent or "")
        if found is None or (found[1] == "00" and found[5]):
            return None
        return cls(found[2], found[3], found[4])


def _hex(bits: int) -> str:
    """Never all zeros, which the standard keeps for none. It guards nothing, so it need not cost a system call."""
    return f"{random.getrandbits(bits) | 1:0{bits // 4}x}"


_current: ContextVar[Trace | None] = ContextVar("leadline_trace", default=None)


def current_trace() -> Trace | None:
    """The trace this work is part of; None outside `traced()`."""
    return _current.get()


def traceparent() -> str:
    """The header that carries this work's trace on, as events and outgoing requests bear it; empty outside one."""
    trace = _current.get()
    return trace.traceparent if trace else ""


@contextmanager
def traced(traceparent: str | None = None) -> Generator[Trace]:
    """Work inside is one more step of `traceparent`, or the first of a new trace when that is missing or unreadable."""
    given = Trace.parse(traceparent)
    trace = given.step() if given else Trace.start()
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
