"""The funnel counted anew, lead by lead, from nothing but stage events: what the sums must be equal to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.insights.domain.progress import way_word
from shared.events.stage import StageChanged
from shared.lifecycle import MAIN_LINE

LINE = [str(stage) for stage in MAIN_LINE]


@dataclass
class Recount:
    leads: Counter[str] = field(default_factory=Counter[str])
    now: Counter[str] = field(default_factory=Counter[str])
    left: Counter[str] = field(default_factory=Counter[str])
    back: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])

    def equals(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer of GET /v1/funnel says the same."""
        stages = {stage["stage"]: (stage["leads"], stage["now"]) for stage in answer["stages"]}
        back = {(way["from"], way["to"], way["word"]): way["leads"] for way in answer["back"]}
        return (
            stages == {stage: (self.leads[stage], self.now[stage]) for stage in LINE}
            and back == dict(self.back)
            and answer["left"] == {stage: self.left[stage] for stage in ("disqualified", "lost", "returned")}
        )


def recount(lives: Mapping[UUID, Sequence[StageChanged]]) -> Recount:
    """Each life's stage events in their order."""
    found = Recount()
    for moves in lives.values():
        if moves and moves[-1].to != "merged":
            _count(found, moves)
    return found


def _count(found: Recount, moves: Sequence[StageChanged]) -> None:
    here, cycle = moves[-1].to, moves[-1].cycle
    present = [move.to for move in moves if move.cycle == cycle and move.to in LINE]
    deepest = max((LINE.index(stage) for stage in present), default=-1)
    found.leads.update(LINE[: deepest + 1])
    found.now[here] += 1
    if deepest >= 0:
        found.left[here] += 1
    ways: set[tuple[str, str, str]] = set()
    last = ""
    for move in moves:
        if move.to not in LINE:
            continue
        if last and LINE.index(move.to) < LINE.index(last) and move.cycle == cycle:
            ways.add((last, move.to, way_word(move.from_, move.to, move.reason)))  # pyright: ignore[reportArgumentType]
        last = move.to
    found.back.update(ways)
