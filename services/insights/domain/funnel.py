"""The funnel as it is told: counts by stage and group, the ways back, who left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from services.insights.domain.progress import Back
from services.insights.domain.tally import LEAVING
from shared.lifecycle import MAIN_LINE, Stage

_FIRST = f"reached:{MAIN_LINE[0]}"


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
    """The funnel from sums by (key of the group, measure); groups beyond the largest are folded into one.

    Keys that differ by capitals alone are one group, since links are written by many hands.
    """
    whole: Counter[str] = Counter()
    by_key: dict[str, Counter[str]] = {}
    spellings: dict[str, Counter[str]] = {}
    for (key, measure), leads in sums.items():
        whole[measure] += leads
        by_key.setdefault(key.lower(), Counter())[measure] += leads
        spellings.setdefault(key.lower(), Counter())[key] += leads if measure == _FIRST else 0
    ways = [(measure.split(":"), leads) for measure, leads in whole.items() if measure.startswith("back:") and leads]
    back = [(Back(Stage(frm), Stage(to), word), leads) for (_, frm, to, word), leads in ways]
    return Funnel(
        stages=_stages(whole),
        groups=_groups({_as_most(spellings[key]): counts for key, counts in by_key.items()}, most_groups),
        back=sorted(back, key=lambda one: (-one[1], one[0].frm, one[0].to, one[0].word)),
        left={stage: whole[f"left:{stage}"] for stage in LEAVING},
    )


def _as_most(spellings: Mapping[str, int]) -> str:
    return min(spellings, key=lambda one: (-spellings[one], one))


def _groups(by_key: Mapping[str, Counter[str]], most: int) -> list[Group]:
    there = [(key, counts) for key, counts in by_key.items() if counts[_FIRST]]
    there.sort(key=lambda one: (-one[1][_FIRST], one[0]))
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
