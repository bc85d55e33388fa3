"""Moments and lengths of time as whole microseconds: as exact as the database keeps them, and quick to reckon with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_UNITS = {"h": HOUR, "d": DAY, "w": 7 * DAY}
_LENGTH = re.compile(r"(\d{1,5})\s?([hdw])")


def moment(at: datetime) -> int:
    """Microseconds since 1970. `moment(datetime(1970, 1, 2, tzinfo=UTC))` is 86,400,000,000."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def when(at: int) -> datetime:
    """The reverse of `moment`."""
    return EPOCH + timedelta(microseconds=at)


def length(text: str) -> int | None:
    """`"14d"` is fourteen days; also `h` for hours and `w` for weeks. None for anything else, and for nothing."""
    found = _LENGTH.fullmatch(text.strip())
    return int(found[1]) * _UNITS[found[2]] or None if found else None


def in_words(span: int) -> str:
    """`"14 days"`, `"36 hours"`."""
    count, unit = (span // DAY, "day") if span % DAY == 0 else (span // HOUR, "hour")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
