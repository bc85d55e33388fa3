"""Where time and time-ordered ids come from, so that a decision can be given both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def uuid7(at: datetime | None = None) -> UUID:
    """A new UUIDv7; ids made without `at` in one process ascend. With `at` it carries that moment instead of now."""
    # The driver's own kind of UUID is a `UUID` that is made, written and sent in a fraction of the time.
    if at is None:
        return pgproto.UUID(uuid_utils.uuid7().bytes)
    return pgproto.UUID(uuid_utils.uuid7(nanoseconds=_milliseconds(at) * 1_000_000).bytes)


def uuid7_at(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that millisecond: `id < uuid7_at(t)` is true of every id made before t and of no other.

    >>> uuid7_at(datetime(2026, 1, 1, tzinfo=UTC))
    UUID('019b76da-a800-7000-8000-000000000000')
    """
    # RFC 9562 section 5.7: 48 bits of milliseconds, version 7, variant 0b10, the rest random.
    return UUID(int=_milliseconds(moment) << 80 | 0x7 << 76 | 0b10 << 62)


def _milliseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no timezone")
    return (moment - EPOCH) // timedelta(milliseconds=1)
