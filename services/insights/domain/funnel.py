"""How far leads came, and what each of them adds to the sums a funnel is read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from typing import TypeVar

from shared.lifecycle import MAIN_LINE, Reason, Stage

K = TypeVar("K")

NOW = date.min
"""The day of a sum that says how things stand now; in PostgreSQL -infinity."""

DEPTH: Mapping[Stage, int] = {stage: depth for depth, stage in enumerate(MAIN_LINE, start=1)}
LEAVING = (Stage.returned, Stage.lost, Stage.disqualified)
"""The stages beside the main line in which a lead that was on it may stand."""

_ROUND_ABOUT: Mapping[Stage, str] = {
    Stage.returned: "returned",
    Stage.lost: "taken up again",
    Stage.disqualified: "released",
}
_STRAIGHT: Mapping[tuple[Stage, Stage, str], str] = {
    (Stage.mql, Stage.iql, Reason.score_fell): "cooled",
    (Stage.mql, Stage.iql, Reason.rules_changed): "judged anew",
    (Stage.handed_over, Stage.sql, Reason.expired): "expired",
    (Stage.handed_over, Stage.sql, Reason.reassigned): "reassigned",
    (Stage.customer, Stage.registered, Reason.new_cycle): "started a new cycle",
}


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


@dataclass(frozen=True)
class Visit:
    """The first time a lead was in a stage or went a way, in one cycle. `day` is None until it is dated."""

    at: datetime
    times: int = 1
    day: date | None = None

    def again(self, at: datetime) -> Visit:
        """Facts may be told late: what happened first counts, whatever was told first."""
        first = replace(self, times=self.times + 1)
        return replace(first, at=at, day=None) if at < self.at else first


@dataclass(frozen=True)
class Back:
    """A way back on the main line, and the word for it."""

    frm: Stage
    to: Stage
    word: str


@dataclass(slots=True)
class Cycle:
    product: str = ""
    reached: dict[Stage, Visit] = field(default_factory=dict[Stage, Visit])
    back: dict[Back, Visit] = field(default_factory=dict[Back, Visit])

    def arrivals(self) -> Iterator[tuple[Stage, Visit]]:
        """For each stage of the main line that the lead reached or passed: when it first was there or further."""
        first: Visit | None = None
        for stage in reversed(MAIN_LINE):
            own = self.reached.get(stage)
            if own is not None and (first is None or own.at < first.at):
                first = own
            if first is not None:
                yield stage, first


@dataclass(slots=True)
class Progress:
    """All cycles of a lead. `last_on_line` is the stage of the main line it is in or was in last."""

    cycle: int = 0
    cycles: dict[int, Cycle] = field(default_factory=dict[int, Cycle])
    last_on_line: Stage | None = None

    def enter(self, frm: Stage | None, to: Stage, reason: str, cycle: int, at: datetime, product: str) -> None:
        """The lead came into a stage."""
        self.cycle = cycle
        entered = self.cycles.setdefault(cycle, Cycle())
        entered.product = product
        _count(entered.reached, to, at)
        if to not in DEPTH:
            return
        last, self.last_on_line = self.last_on_line, to
        if last is not None and DEPTH[to] < DEPTH[last]:
            _count(entered.back, Back(last, to, _word(frm, to, reason)), at)

    def date(self, zone: tzinfo) -> None:
        """Give every moment that has none yet its day."""
        for cycle in self.cycles.values():
            _date(cycle.reached, zone)
            _date(cycle.back, zone)


def _count(visits: dict[K, Visit], key: K, at: datetime) -> None:
    known = visits.get(key)
    visits[key] = Visit(at) if known is None else known.again(at)


def _date(visits: dict[K, Visit], zone: tzinfo) -> None:
    for key, visit in visits.items():
        if visit.day is None:
            visits[key] = replace(visit, day=visit.at.astimezone(zone).date())


def _word(frm: Stage | None, to: Stage, reason: str) -> str:
    if frm is None:
        return "went back"
    return _ROUND_ABOUT.get(frm) or _STRAIGHT.get((frm, to, reason), "went back")


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


@dataclass(frozen=True)
class StageCount:
    """`leads` reached the stage or a later one, `now` are in it; `conversion` is the share of the stage before that
    came this far, None for the first stage and of nobody."""

    stage: Stage
    leads: int
    now: int
    conversion: float | None


@dataclass(frozen=True)
class Group:
    """`folded` is how many keys stand behind `others`, 0 for a group of its own."""

    key: str
    stages: list[StageCount]
    folded: int = 0


@dataclass(frozen=True)
class Funnel:
    stages: list[StageCount]
    groups: list[Group]
    back: list[tuple[Back, int]]
    left: dict[Stage, int]


def funnel(sums: Mapping[tuple[str, str], int], most_groups: int) -> Funnel:
    """The funnel from sums by (key of the group, measure); groups beyond the largest are folded into one."""
    whole: Counter[str] = Counter()
    by_key: dict[str, Counter[str]] = {}
    for (key, measure), leads in sums.items():
        whole[measure] += leads
        by_key.setdefault(key, Counter())[measure] += leads
    ways = [(measure.split(":"), leads) for measure, leads in whole.items() if measure.startswith("back:") and leads]
    back = [(Back(Stage(frm), Stage(to), word), leads) for (_, frm, to, word), leads in ways]
    return Funnel(
        stages=_stages(whole),
        groups=_groups(by_key, most_groups),
        back=sorted(back, key=lambda one: (-one[1], one[0].frm, one[0].to, one[0].word)),
        left={stage: whole[f"left:{stage}"] for stage in LEAVING},
    )


def _groups(by_key: Mapping[str, Counter[str]], most: int) -> list[Group]:
    first = f"reached:{MAIN_LINE[0]}"
    there = [(key, counts) for key, counts in by_key.items() if counts[first]]
    there.sort(key=lambda one: (-one[1][first], one[0]))
    groups = [Group(key, _stages(counts)) for key, counts in there[:most]]
    others: Counter[str] = Counter()
    for _, counts in there[most:]:
        others.update(counts)
    if others:
        groups.append(Group("others", _stages(others), folded=len(there) - most))
    return groups


def _stages(counts: Mapping[str, int]) -> list[StageCount]:
    stages: list[StageCount] = []
    before: int | None = None
    for stage in MAIN_LINE:
        leads = counts.get(f"reached:{stage}", 0)
        stages.append(StageCount(stage, leads, counts.get(f"now:{stage}", 0), leads / before if before else None))
        before = leads
    return stages
