"""When a lead cools down: the moment is solved from the decay of its points, never looked for by the clock."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from services.scoring.domain.award import Award, reaches, total
from services.scoring.domain.ruleset import COLD, Heat


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
    only_falls = not any(award.tenths < 0 and award.half_life for award in awards)
    for heat in colder(heats, level):
        # What only falls is looked at once; what goes up and down may have been below in between.
        left = left_at(awards, heat, at if only_falls else since, earned_at, intent_at)
        if left is None or left > at:
            return heat.level
        since = max(since, left)
    return COLD


def cools_at(
    awards: Sequence[Award],
    level: str,
    since: int,
    earned_at: int | None,
    intent_at: int | None,
    heats: Mapping[str, Heat],
) -> int | None:
    """The first moment from `since` on at which the temperature `level` is left; None when it stays."""
    heat = heats.get(level)
    return None if heat is None else left_at(awards, heat, since, earned_at, intent_at)


def colder(heats: Mapping[str, Heat], level: str) -> list[Heat]:
    """A temperature and those below it, warmest first; none for cold."""
    levels = list(heats)
    return [heats[name] for name in levels[levels.index(level) :]] if level in heats else []


def left_at(
    awards: Sequence[Award], heat: Heat, since: int, earned_at: int | None, intent_at: int | None
) -> int | None:
    """The first moment from `since` on at which nothing holds this temperature any more."""
    start = since
    if intent_at is not None and heat.intent_within is not None:
        start = max(start, intent_at + heat.intent_within)
    faded = first_below(awards, heat.leave, start)
    if heat.quiet_after is None or earned_at is None:
        return faded
    quiet = max(start, earned_at + heat.quiet_after)
    return quiet if faded is None else min(faded, quiet)


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
        return _bisected(fading, level - lasting, start)
    return _stepped(fading, level - lasting, start)


def _bisected(fading: Sequence[Award], level: int, start: int) -> int | None:
    """The sum only falls, so the moment is between now and the last award's end."""
    if level <= 0:
        return None
    above, below = start, max(award.worthless_at or start for award in fading)
    while below - above > 1:
        middle = (above + below) // 2
        if total(fading, middle) < level:
            below = middle
        else:
            above = middle
    return below


def _stepped(fading: Sequence[Award], level: int, start: int) -> int | None:
    """With points that take away, the sum goes up and down: walk through the moments at which a tenth goes."""
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
