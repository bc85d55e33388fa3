"""Dates and times as files have them, told as RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

EXCEL_DAY_ZERO = datetime(1899, 12, 30, tzinfo=UTC)
"""Day 0 of spreadsheets, which take 1900 for a leap year as Lotus 1-2-3 did."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 64

WORDS = ("iso", "unix", "unix_ms", "excel")
"""Formats with a name; all others are those of `strptime`, such as `%d.%m.%Y`."""


class NotAMoment(ValueError):
    """The text is no time in any of the formats; `reason` says so without repeating it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def moment_of(text: str, formats: Sequence[str], zone: tzinfo) -> datetime:
    """The moment in UTC, by the first format that fits; `zone` is that of times that name none.

    Raises `NotAMoment`, also for times before 1970: those are a program's way of saying "none".
    """
    if len(text) > _LONGEST:
        raise NotAMoment("is longer than any date")
    for form in formats:
        try:
            moment = _read(text, form)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if moment < EARLIEST:
            raise NotAMoment("is before 1970")
        return moment
    raise NotAMoment(f"is no date as {' or '.join(formats)}")


@lru_cache(maxsize=4096)
def rfc3339(moment: datetime) -> str:
    """`2024-03-01T12:00:00Z`, with fractions of a second where there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_format(form: str) -> bool:
    """Whether dates can be read by it: a word of `WORDS`, or a pattern of `strptime` with a year."""
    if form in WORDS:
        return True
    sample = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
    try:
        return datetime.strptime(sample.strftime(form), form).year == sample.year  # noqa: DTZ007 - only the year counts
    except ValueError:
        return False


def _read(text: str, form: str) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(text)
    if form == "excel":
        return (EXCEL_DAY_ZERO + timedelta(days=float(text))).replace(tzinfo=None)
    if form in ("unix", "unix_ms"):
        return datetime.fromtimestamp(float(text) / (1000 if form == "unix_ms" else 1), UTC)
    return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
