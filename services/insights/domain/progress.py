"""How far a lead came in each of its cycles, and where it went back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from typing import TypeVar

from shared.lifecycle import MAIN_LINE, Stage
from shared.reasons import Reason

K = TypeVar("K")

DEPTH: Mapping[Stage, int] = {stage: depth for depth, stage in enumerate(MAIN_LINE, start=1)}

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
            _count(entered.back, Back(last, to, way_word(frm, to, reason)), at)

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


def way_word(frm: Stage | None, to: Stage, reason: str) -> str:
    """How a lead went back that came to `to` from `frm`: `cooled`, `expired`, `returned`."""
    if frm is None:
        return "went back"
    return _ROUND_ABOUT.get(frm) or _STRAIGHT.get((frm, to, reason), "went back")
