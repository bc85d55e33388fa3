"""When a lead cools down: the moment is solved from the decay of its points, never looked for by the clock."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence

from services.scoring.domain.award import Award, reaches, total
from services.scoring.domain.ruleset import COLD, Heat

# Each brings the bound closer; what is left after these is a few steps of a tenth.
_TANGENTS = 6
# In tenths: more than what is lost where decimal fractions are cut.
_ROUNDED = 0.01


def level_at(
    awards: Sequence[Award],
    level: str,
    since: int,
    earned_at: int | None,
    intent_at: int | None,
    heats: Mapping[str, Heat],
    at: int,
) -> str:
    """The temperature at a moment, given that it was `level` `since` another and nothing was done in between."""
    if level not in heats:
        return COLD
    only_falls = not any(award.tenths < 0 for award in awards)
    for heat in colder(heats, level):
        # What only falls is looked at once; what goes up and down may have been below in between.
        if only_falls:
            left = None if holds(awards, heat, earned_at, intent_at, at) else at
        else:
            left = left_at(awards, heat, since, earned_at, intent_at)
        if left is None or left > at:
            return heat.level
        since = max(since, left)
    return COLD


def holds(awards: Sequence[Award], heat: Heat, earned_at: int | None, intent_at: int | None, at: int) -> bool:
    """Whether intent or points keep this temperature at a moment."""
    if intent_at is not None and heat.intent_within is not None and at < intent_at + heat.intent_within:
        return True
    if heat.quiet_after is not None and earned_at is not None and at >= earned_at + heat.quiet_after:
        return False
    return total(awards, at) >= heat.leave


def colder(heats: Mapping[str, Heat], level: str) -> list[Heat]:
    """A temperature above cold and those below it, warmest first."""
    levels = list(heats)
    return [heats[name] for name in levels[levels.index(level) :]]


def left_at(
    awards: Sequence[Award], heat: Heat, since: int, earned_at: int | None, intent_at: int | None
) -> int | None:
    """The first moment from `since` on at which nothing holds this temperature any more."""
    line = line_of(heat, since, intent_at)
    quiet = quiet_at(heat, since, earned_at, intent_at)
    return earliest(first_below(awards, *line), quiet)


def line_of(heat: Heat, since: int, intent_at: int | None) -> tuple[int, int]:
    """The level below which a temperature is left, and the moment from which on that counts: intent goes before."""
    if intent_at is None or heat.intent_within is None:
        return heat.leave, since
    return heat.leave, max(since, intent_at + heat.intent_within)


def quiet_at(heat: Heat, since: int, earned_at: int | None, intent_at: int | None) -> int | None:
    """The moment from `since` on at which nothing has been earned for too long."""
    if heat.quiet_after is None or earned_at is None:
        return None
    return max(line_of(heat, since, intent_at)[1], earned_at + heat.quiet_after)


def earliest(*moments: int | None) -> int | None:
    return min((at for at in moments if at is not None), default=None)


def first_crossing(awards: Sequence[Award], lines: Sequence[tuple[int, int]]) -> int | None:
    """The first moment at which the awards come to less than one of these levels, each from its moment on."""
    found: list[int | None] = []
    highest: int | None = None
    for level, start in sorted(lines, key=lambda line: (line[1], -line[0])):
        # What lies lower and counts from later on is not crossed before the higher one.
        if highest is None or level > highest:
            highest = level
            found.append(first_below(awards, level, start))
    return earliest(*found)


def none_crossed_before(awards: Sequence[Award], lines: Sequence[tuple[int, int]]) -> int | None:
    """A moment before which none of these is crossed, for far less work than `first_crossing`; None for never.

    What only falls halves no sooner than the award that halves soonest. Close to a line, and where awards take away, it
    is the crossing itself.
    """
    if any(award.tenths < 0 for award in awards):
        return first_crossing(awards, lines)
    found: list[int | None] = []
    for level, start in lines:
        bound = _not_halved_before(awards, level, start)
        found.append(first_below(awards, level, start) if bound == start else bound)
    return earliest(*found)


def _not_halved_before(awards: Sequence[Award], level: int, start: int) -> int | None:
    left, lasting, soonest, fading = 0.0, 0, 0, 0
    for award in awards:
        half_life = award.half_life
        if half_life is None:
            lasting += award.tenths
        else:
            left += award.tenths * 2.0 ** -(max(0, start - award.at) / half_life)
            soonest = min(soonest or half_life, half_life)
            fading += 1
    if level <= lasting:
        return None
    target = level - lasting + fading / 2 + _ROUNDED
    return start + max(0, math.floor(soonest * math.log2(left / target)) - 1) if left > target else start


def first_below(awards: Sequence[Award], level: int, start: int) -> int | None:
    """The first microsecond from `start` on at which the rounded awards come to less than `level`; None for never.

    10 points with a half-life of a day are below 2.5 (level 25) a little after two days: at 2.45, which rounds to 2.5
    no more.
    """
    if total(awards, start) < level:
        return start
    fading = [award for award in awards if award.half_life is not None and award.worth(start)]
    lasting = total(awards, start) - total(fading, start)
    if all(award.tenths > 0 for award in fading):
        if level <= lasting:
            return None
        if all(award.at <= start for award in fading):
            start = _not_before(fading, level - lasting, start)
    return _stepped(fading, level - lasting, start)


def _not_before(fading: Sequence[Award], level: int, start: int) -> int:
    """A moment shortly before the one at which awards that only fall come to less than a level.

    Without rounding their sum is a convex curve. A tangent to it reaches any level before the curve does, so following
    tangents (Newton's way) never goes too far; and rounding takes away at most half a tenth of each award.
    """
    target = level + len(fading) / 2 + _ROUNDED
    parts = [(award.tenths, award.at, award.half_life or 1) for award in fading]
    at = float(start)
    for _ in range(_TANGENTS):
        left = [(tenths * 2.0 ** -((at - since) / half_life), half_life) for tenths, since, half_life in parts]
        above = sum(worth for worth, _ in left) - target
        if above <= 0:
            break
        at += above / (math.log(2) * sum(worth / half_life for worth, half_life in left))
    return max(start, math.floor(at) - 1)


def _stepped(fading: Sequence[Award], level: int, start: int) -> int | None:
    """Walk through the moments at which an award loses a tenth; with points that take away the sum rises at some."""
    left = total(fading, start)
    steps = [_next_step(award, award.worth(start)) for award in fading]
    queue = [(at, number) for number, at in enumerate(steps) if at is not None]
    heapq.heapify(queue)
    while queue:
        at = queue[0][0]
        while queue and queue[0][0] == at:
            _, number = heapq.heappop(queue)
            award = fading[number]
            was = award.worth(at - 1)
            now = award.worth(at)
            left += now - was
            following = _next_step(award, now)
            if following is not None:
                heapq.heappush(queue, (following, number))
        if left < level:
            return at
    return None


def _next_step(award: Award, worth: int) -> int | None:
    """When an award that is worth this loses its next tenth."""
    if not worth or award.half_life is None:
        return None
    return award.at + reaches(award.tenths, award.half_life, abs(worth) - 1)
