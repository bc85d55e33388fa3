"""The one fake that tests share: time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SetClock:
    """A clock that stands still until it is moved; raises ValueError for a moment without a zone.

    >>> clock = SetClock(datetime(2026, 3, 1, 9, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=2)).hour
    11
    """

    def __init__(self, start: datetime) -> None:
        self.set(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> datetime:
        self._now += step
        return self._now

    def set(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no timezone")
        self._now = moment.astimezone(UTC)
