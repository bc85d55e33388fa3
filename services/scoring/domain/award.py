"""Points that a rule gave for one event, and what is left of them later.

Points are whole tenths throughout, so that entries add up to the score exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Award:
    """`tenths` of a point given `at` a moment; every `half_life` (microseconds) half of what is left goes."""

    rule: str
    event_id: UUID
    at: int
    tenths: int
    half_life: int | None = None

    def worth(self, at: int) -> int:
        """What is left at a moment, in tenths; all of it before the award was given."""
        return worth(self.tenths, self.half_life, at - self.at)

    @property
    def worthless_at(self) -> int | None:
        """The first moment at which nothing is left; None for an award that does not decay."""
        return None if self.half_life is None else self.at + reaches(self.tenths, self.half_life, 0)


def worth(tenths: int, half_life: int | None, age: int) -> int:
    """What is left of points at an age, rounded to a tenth, halves away from zero.

    `worth(100, DAY, DAY)` is 50: ten points are five after their half-life.
    """
    if half_life is None or age <= 0:
        return tenths
    left = math.floor(abs(tenths) * 2.0 ** -(age / half_life) + 0.5)
    return left if tenths > 0 else -left


def reaches(tenths: int, half_life: int, left: int) -> int:
    """The age in microseconds at which no more than `left` tenths remain (in size); the very first such microsecond."""
    size = abs(tenths)
    if size <= left:
        return 0
    # Closed form, then set right: the logarithm may be off by a few microseconds, `worth` is what counts.
    age = math.ceil(half_life * math.log2(size / (left + 0.5)))
    while age > 0 and worth(size, half_life, age - 1) <= left:
        age -= 1
    while worth(size, half_life, age) > left:
        age += 1
    return age


def total(awards: Iterable[Award], at: int) -> int:
    """What awards are worth together at a moment: each rounded by itself, as in `worth`."""
    left = 0
    for award in awards:
        half_life, tenths = award.half_life, award.tenths
        if half_life is None or at <= award.at:
            left += tenths
        # Written out, because this is what scoring spends its time on.
        elif tenths > 0:
            left += math.floor(tenths * 2.0 ** -((at - award.at) / half_life) + 0.5)
        else:
            left -= math.floor(-tenths * 2.0 ** -((at - award.at) / half_life) + 0.5)
    return left
