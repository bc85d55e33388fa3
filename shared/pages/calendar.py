"""How a moment and a length of time are written for people, in one zone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """Every moment given is aware; `now` is the caller's."""

    zone: tzinfo

    def clock(self, at: datetime) -> str:
        """`14:32:08`"""
        return f"{at.astimezone(self.zone):%H:%M:%S}"

    def deadline(self, at: datetime, now: datetime) -> str:
        """`14:47` today, `Monday 23 November, 09:12` on another day."""
        local = at.astimezone(self.zone)
        today = local.date() == now.astimezone(self.zone).date()
        return f"{local:%H:%M}" if today else f"{local:%A} {local.day} {local:%B}, {local:%H:%M}"

    def exact(self, at: datetime) -> str:
        """`2026-11-17 14:32:08 CET`"""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def stay(self, start: datetime, end: datetime) -> str:
        """A length of time by its two largest units: `8 s`, `4 min`, `2 h 5 min`, `10 d 20 h`."""
        length = max(end - start, timedelta(0))
        if length < MINUTE:
            return f"{length.seconds} s"
        if length < HOUR:
            return f"{length // MINUTE} min"
        if length < DAY:
            return _two(length // HOUR, "h", length % HOUR // MINUTE, "min")
        return _two(length // DAY, "d", length % DAY // HOUR, "h")

    def filters(self) -> dict[str, Callable[..., object]]:
        return {name: getattr(self, name) for name in ("clock", "deadline", "exact", "stay")}


def _two(more: int, unit: str, less: int, lesser_unit: str) -> str:
    return f"{more} {unit}" + (f" {less} {lesser_unit}" if less else "")
