"""What each lead adds to the sums that a funnel is read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from services.insights.domain.progress import Cycle, Progress, Visit
from shared.lifecycle import Stage

NOW = date.min
"""The day of a sum that says how things stand now; in PostgreSQL -infinity."""

LEAVING = (Stage.returned, Stage.lost, Stage.disqualified)
"""The stages beside the main line in which a lead that was on it may stand."""


@dataclass(frozen=True)
class Origin:
    """What sums are split by: the site, and the first touch."""

    site: str = ""
    source: str = ""
    channel: str = ""
    campaign: str = ""


@dataclass(frozen=True)
class Tally:
    """One sum that leads are counted in. `measure` is `reached:sql`, `now:sql`, `left:lost`, `back:mql:iql:cooled`."""

    day: date
    test: bool
    measure: str
    origin: Origin
    product: str


def tallies(progress: Progress, stage: Stage | None, origin: Origin, test: bool) -> Counter[Tally]:
    """Every sum in which this lead is one, its moments being dated.

    A merged lead is in none: its person is counted with the lead that goes on. Sums of a day hold every cycle, those
    of now the present one.
    """
    sums: Counter[Tally] = Counter()
    if stage is None or stage is Stage.merged:
        return sums
    for number, cycle in progress.cycles.items():
        present = number == progress.cycle
        for measure, day in _measures(cycle, stage if present else None):
            sums[Tally(day, test, measure, origin, cycle.product)] += 1
    return sums


def _measures(cycle: Cycle, stage: Stage | None) -> Iterator[tuple[str, date]]:
    """`stage` is that of the present cycle."""
    ways = [(f"reached:{reached}", visit) for reached, visit in cycle.arrivals()]
    ways += [(f"back:{back.frm}:{back.to}:{back.word}", visit) for back, visit in cycle.back.items()]
    if ways:
        left = {code: visit for code, visit in cycle.reached.items() if code in LEAVING}
        yield from ((f"left:{code}", _day(visit)) for code, visit in left.items())
        if stage in left:
            yield f"left:{stage}", NOW
    for measure, visit in ways:
        yield measure, _day(visit)
        if stage is not None:
            yield measure, NOW
    if stage is not None:
        yield f"now:{stage}", NOW


def _day(visit: Visit) -> date:
    assert visit.day is not None
    return visit.day
