"""How long something takes when only working hours count, as an installation's clock shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PATTERN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?\s+(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.IGNORECASE)
_ZERO = timedelta(0)


@dataclass(frozen=True)
class WorkingHours:
    """The same hours on each of `days` (Monday is 0), in the local time of `zone`; `closes` 24:00 is `time.max`.

    Lengths are real time: on the day the clocks change, a stretch of hours over the change is longer or shorter.
    """

    days: frozenset[int] = frozenset(range(5))
    opens: time = time(9)
    closes: time = time(18)
    zone: tzinfo = UTC

    @staticmethod
    def parse(text: str, zone: tzinfo = UTC) -> WorkingHours:
        """`Mon-Fri 09:00-18:00`, `Sat 10:00-14:00`, `Mon-Sun 00:00-24:00`. Raises ValueError for anything else."""
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError("must look like Mon-Fri 09:00-18:00")
        first, last = found[1].lower(), (found[2] or found[1]).lower()
        if first not in _DAYS or last not in _DAYS:
            raise ValueError("names a day that is none of Mon Tue Wed Thu Fri Sat Sun")
        opens, closes = _time(found[3], found[4]), _time(found[5], found[6])
        if opens >= closes:
            raise ValueError("must open before it closes")
        start, length = _DAYS.index(first), (_DAYS.index(last) - _DAYS.index(first)) % 7
        return WorkingHours(frozenset((start + n) % 7 for n in range(length + 1)), opens, closes, zone)

    def after(self, start: datetime, working: timedelta) -> datetime:
        """The moment when `working` of working time has passed since `start`; both aware, the answer in UTC.

        >>> friday = datetime(2026, 3, 6, 17, 50, tzinfo=UTC)
        >>> WorkingHours().after(friday, timedelta(minutes=15)).isoformat()
        '2026-03-09T09:05:00+00:00'
        """
        # Two moments of one zone are compared and added to by its wall clock: everything is reckoned in UTC.
        start, left = start.astimezone(UTC), working
        for opening, closing in self._stretches(start):
            begin = max(opening, start)
            if left <= closing - begin:
                return begin + left
            left -= closing - begin
        raise AssertionError("working days never end")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two moments; none when `end` is not after `start`."""
        start, end, total = start.astimezone(UTC), end.astimezone(UTC), _ZERO
        if end <= start:
            return total
        for opening, closing in self._stretches(start):
            if opening >= end:
                break
            total += min(closing, end) - max(opening, start)
        return total

    def _stretches(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The working days that end after `start`, as moments in UTC."""
        day = start.astimezone(self.zone).date() - timedelta(days=1)
        while True:
            if day.weekday() in self.days:
                opening, closing = self._moment(day, self.opens), self._moment(day, self.closes)
                if closing > start and closing > opening:
                    yield opening, closing
            day += timedelta(days=1)

    def _moment(self, day: date, at: time) -> datetime:
        if at == time.max:
            day, at = day + timedelta(days=1), time.min
        # 02:30 on the night it is left out is 03:30 on that clock; on the night it comes twice, the first one counts.
        return datetime.combine(day, at, self.zone).astimezone(UTC)


def _time(hour: str, minute: str) -> time:
    return time.max if (hour, minute) == ("24", "00") else time(int(hour), int(minute))


def extended(due: datetime, away_from: datetime, away_until: datetime, hours: WorkingHours) -> datetime:
    """When an offer due at `due` runs out after nobody could answer for a while: what was left of it comes after."""
    due, away_from, away_until = due.astimezone(UTC), away_from.astimezone(UTC), away_until.astimezone(UTC)
    if due <= away_from or away_until <= away_from:
        return due
    return max(due, hours.after(away_until, hours.between(away_from, due)))
