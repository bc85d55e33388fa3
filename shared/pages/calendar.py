"""How a moment, an age and a length of time are written for people, in one zone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from operator import attrgetter
from typing import TypeVar, cast

Item = TypeVar("Item")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """Every moment given is aware; `now` is the caller's."""

    zone: tzinfo

    def clock(self, at: datetime) -> str:
        """`14:32:08`"""
        return f"{at.astimezone(self.zone):%H:%M:%S}"

    def hour(self, at: datetime) -> str:
        """`14:32`"""
        return f"{at.astimezone(self.zone):%H:%M}"

    def day(self, at: datetime, now: datetime) -> str:
        """`17 Nov`, and `17 Nov 2025` in another year."""
        local = at.astimezone(self.zone)
        same_year = local.year == now.astimezone(self.zone).year
        return f"{local.day} {local:%b}" if same_year else f"{local.day} {local:%b %Y}"

    def long_day(self, at: datetime, now: datetime) -> str:
        """`Today, 17 November`, `Saturday, 14 November`, `Saturday, 14 November 2025`."""
        local, today = at.astimezone(self.zone), now.astimezone(self.zone)
        name = "Today" if local.date() == today.date() else f"{local:%A}"
        return f"{name}, {local.day} {local:%B}" + ("" if local.year == today.year else f" {local.year}")

    def when(self, at: datetime, now: datetime) -> str:
        """The clock time today, the date before."""
        today = at.astimezone(self.zone).date() == now.astimezone(self.zone).date()
        return self.hour(at) if today else self.day(at, now)

    def deadline(self, at: datetime, now: datetime) -> str:
        """`14:47` today, `Monday 23 November, 09:12` on another day."""
        local = at.astimezone(self.zone)
        today = local.date() == now.astimezone(self.zone).date()
        return self.hour(at) if today else f"{local:%A} {local.day} {local:%B}, {local:%H:%M}"

    def exact(self, at: datetime) -> str:
        """`2026-11-17 14:32:08 CET`"""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def age(self, at: datetime, now: datetime) -> str:
        """`now`, `5 min`, `3 h`, `yesterday`, `34 days`."""
        past = now - at
        if past < MINUTE:
            return "now"
        if past < HOUR:
            return f"{past // MINUTE} min"
        if past < DAY:
            return f"{past // HOUR} h"
        return "yesterday" if past < 2 * DAY else f"{past // DAY} days"

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

    def by_day(self, items: Iterable[Item], now: datetime) -> list[tuple[str, list[Item]]]:
        """Items that have a moment `at`, in their order, under the day they fall on as `long_day` writes it."""
        days = groupby(items, lambda item: self.long_day(_moment_of(item), now))
        return [(day, list(its_items)) for day, its_items in days]

    def filters(self) -> dict[str, Callable[..., object]]:
        return {
            "clock": self.clock,
            "hour": self.hour,
            "day": self.day,
            "long_day": self.long_day,
            "when": self.when,
            "deadline": self.deadline,
            "exact": self.exact,
            "age": self.age,
            "stay": self.stay,
            "by_day": self.by_day,
        }


def _two(more: int, unit: str, less: int, lesser_unit: str) -> str:
    return f"{more} {unit}" + (f" {less} {lesser_unit}" if less else "")


def _moment_of(item: object) -> datetime:
    if isinstance(item, Mapping):
        return cast("Mapping[str, datetime]", item)["at"]
    return cast("datetime", attrgetter("at")(item))
