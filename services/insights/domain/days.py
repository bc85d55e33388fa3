"""How old a thing is, and the days that things fall on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from operator import attrgetter
from typing import TypeVar, cast

Item = TypeVar("Item")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def age(at: datetime, now: datetime) -> str:
    """`now`, `5 min`, `3 h`, `yesterday`, `34 days`."""
    past = now - at
    if past < MINUTE:
        return "now"
    if past < HOUR:
        return f"{past // MINUTE} min"
    if past < DAY:
        return f"{past // HOUR} h"
    return "yesterday" if past < 2 * DAY else f"{past // DAY} days"


@dataclass(frozen=True)
class Days:
    """The days of one zone."""

    zone: tzinfo

    def hour(self, at: datetime) -> str:
        """`14:32`"""
        return f"{at.astimezone(self.zone):%H:%M}"

    def when(self, at: datetime, now: datetime) -> str:
        """`14:32` today, `17 Nov` before, and `17 Nov 2025` in another year."""
        local, today = at.astimezone(self.zone), now.astimezone(self.zone)
        if local.date() == today.date():
            return self.hour(at)
        return f"{local.day} {local:%b}" if local.year == today.year else f"{local.day} {local:%b %Y}"

    def long_day(self, at: datetime, now: datetime) -> str:
        """`Today, 17 November`, `Saturday, 14 November`, `Saturday, 14 November 2025`."""
        local, today = at.astimezone(self.zone), now.astimezone(self.zone)
        name = "Today" if local.date() == today.date() else f"{local:%A}"
        return f"{name}, {local.day} {local:%B}" + ("" if local.year == today.year else f" {local.year}")

    def by_day(self, items: Iterable[Item], now: datetime) -> list[tuple[str, list[Item]]]:
        """Items that have a moment `at`, in their order, under the day they fall on as `long_day` writes it."""
        days = groupby(items, lambda item: self.long_day(_moment_of(item), now))
        return [(day, list(its_items)) for day, its_items in days]


def _moment_of(item: object) -> datetime:
    if isinstance(item, Mapping):
        return cast("Mapping[str, datetime]", item)["at"]
    return cast("datetime", attrgetter("at")(item))
