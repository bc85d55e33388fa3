"""Where the marks of the funnel stand. `static/funnel.js` draws the same when numbers change; a test holds them equal.

Across, everything is in percent of the width, so that the drawing may be as wide as its card; down, in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypedDict

from services.insights.domain.figures import percent

TALLEST = 150.0
"""Height of the bar of the stage that most leads reached; all others are to its scale."""

FLOWS_FROM = 186.0
LANE = 24.0
HALF_BAR = 2.75
FEW = 5
"""Of fewer leads no share is said: one more or less would move it by a fifth."""


class StageCount(TypedDict):
    """`conversion` is the share of the stage before that came this far, None for the first stage and of nobody."""

    stage: str
    leads: int
    now: int
    conversion: float | None


FlowBack = TypedDict("FlowBack", {"from": str, "to": str, "leads": int, "word": str})
"""Leads that went back on the main line, and the word for it: 164 from mql to iql `cooled`."""


@dataclass(frozen=True)
class Bar:
    stage: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Share:
    """What stands under the gap before a stage; `worst` where the fewest went on."""

    stage: str
    x: float
    said: str
    worst: bool


@dataclass(frozen=True)
class Flow:
    """An arrow from `leaves` down, back, and up to `arrives`; `width` of its line in pixels."""

    leaves: float
    arrives: float
    y: float
    width: float
    middle: float
    said: str
    path: str


@dataclass(frozen=True)
class Drawing:
    bars: list[Bar]
    slopes: list[str]
    shares: list[Share]
    flows: list[Flow]
    height: float


def draw(stages: Sequence[StageCount], back: Sequence[FlowBack]) -> Drawing:
    """The funnel of the main line, its stages in order, and the flows back below the line."""
    column = 100 / max(len(stages), 1)
    middles = {stage["stage"]: (at + 0.5) * column for at, stage in enumerate(stages)}
    bars = _bars(stages, middles)
    known = [flow for flow in back if flow["leads"] > 0 and {flow["from"], flow["to"]} <= middles.keys()]
    flows, lanes = _flows(known, middles)
    height = FLOWS_FROM + LANE * lanes + 14 if lanes else FLOWS_FROM
    return Drawing(bars, _slopes(bars), _shares(stages, column), flows, height)


def worst(stages: Sequence[StageCount]) -> StageCount | None:
    """The stage to which the smallest share of those before it came; None where all did or too few can tell."""
    told = [stage for before, stage in pairwise(stages) if before["leads"] >= FEW]
    lossy = [stage for stage in told if stage["conversion"] is not None and stage["conversion"] < 1]
    return min(lossy, key=lambda stage: stage["conversion"] or 0.0, default=None)


def _bars(stages: Sequence[StageCount], middles: Mapping[str, float]) -> list[Bar]:
    most = max((stage["leads"] for stage in stages), default=0) or 1
    bars: list[Bar] = []
    for stage in stages:
        height = TALLEST * stage["leads"] / most
        bars.append(Bar(stage["stage"], middles[stage["stage"]] - HALF_BAR, TALLEST - height, height))
    return bars


def _slopes(bars: Sequence[Bar]) -> list[str]:
    return [_slope(a.x + 2 * HALF_BAR, a.y, b.x, b.y) for a, b in pairwise(bars)]


def _slope(left: float, high: float, right: float, low: float) -> str:
    return f"{left:.2f},{high:.2f} {right:.2f},{low:.2f} {right:.2f},{TALLEST:.2f} {left:.2f},{TALLEST:.2f}"


def _shares(stages: Sequence[StageCount], column: float) -> list[Share]:
    low = worst(stages)
    shares: list[Share] = []
    for at, (before, stage) in enumerate(pairwise(stages), start=1):
        if before["leads"] < FEW or stage["conversion"] is None:
            said = "too few" if before["leads"] else ""
        else:
            said = percent(stage["conversion"])
        shares.append(Share(stage["stage"], at * column, said, stage is low))
    return shares


def _flows(back: Sequence[FlowBack], middles: Mapping[str, float]) -> tuple[list[Flow], int]:
    most = max((flow["leads"] for flow in back), default=0)
    taken: list[list[tuple[float, float]]] = []  # per lane, what is already drawn: (left, right)
    flows: list[Flow] = []
    for flow in sorted(back, key=lambda flow: (middles[flow["from"]] - middles[flow["to"]], middles[flow["from"]])):
        left, right = sorted((middles[flow["to"]], middles[flow["from"]]))
        # Below every flow it shares a column with, so that no line is drawn over another.
        lane = max((at + 1 for at, spans in enumerate(taken) for a, b in spans if a < right and left < b), default=0)
        if lane == len(taken):
            taken.append([])
        taken[lane].append((left, right))
        flows.append(_flow(flow, middles, lane, flow["leads"] / most))
    return flows, len(taken)


def _flow(flow: FlowBack, middles: Mapping[str, float], lane: int, share: float) -> Flow:
    # Beside each other where several meet at one stage.
    aside = 0.5 + 0.9 * lane
    leaves, arrives = middles[flow["from"]] - aside, middles[flow["to"]] + aside
    y = FLOWS_FROM + LANE * (lane + 1)
    path = (
        f"M{leaves:.2f} {FLOWS_FROM:.2f}V{y - 6:.2f}Q{leaves:.2f} {y:.2f} {leaves - 0.7:.2f} {y:.2f}"
        f"H{arrives + 0.7:.2f}Q{arrives:.2f} {y:.2f} {arrives:.2f} {y - 6:.2f}V{FLOWS_FROM + 3:.2f}"
    )
    said = f"{flow['leads']:,} {flow['word']}"
    return Flow(leaves, arrives, y, 1.25 + 2 * share, (leaves + arrives) / 2, said, path)
