"""The funnel's marks stand where the numbers say, for the first paint and for every later one alike."""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict
from itertools import pairwise

import pytest

from services.insights.pages.drawing import TALLEST, FlowBack, StageCount, draw, worst
from tests.support.pages import run_module
from tests.support.samples_of_lists import FLOWS_BACK, STAGE_COUNTS, counts

STAGES = [stage["stage"] for stage in STAGE_COUNTS]


def a_funnel(dice: random.Random) -> tuple[list[StageCount], list[FlowBack]]:
    leads = sorted((dice.randint(0, 10 ** dice.randint(0, 5)) for _ in STAGES), reverse=True)
    back: list[FlowBack] = []
    for _ in range(dice.randint(0, 7)):
        to, leaves = sorted(dice.sample(range(9), 2))
        back.append({"from": STAGES[leaves], "to": STAGES[to], "leads": dice.randint(0, 99), "word": "went back"})
    return counts(leads, [0] * 9), back


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def same(one: object, other: object) -> bool:
    """Alike in all words; numbers may differ by the hundredth of a pixel that two languages round apart."""
    here, there = (json.dumps(marks, sort_keys=True) for marks in (one, other))
    numbers, other_numbers = ([float(number) for number in NUMBER.findall(text)] for text in (here, there))
    return NUMBER.sub("#", here) == NUMBER.sub("#", there) and numbers == pytest.approx(other_numbers, abs=0.011)


def test_the_page_draws_again_what_the_server_drew_first() -> None:
    dice = random.Random(20261117)
    funnels: list[tuple[list[StageCount], list[FlowBack]]] = [
        (STAGE_COUNTS, FLOWS_BACK),
        (counts([0] * 9, [0] * 9), []),
        *(a_funnel(dice) for _ in range(200)),
    ]
    sent = json.dumps([{"stages": stages, "back": back} for stages, back in funnels])
    drawn = json.loads(
        run_module(
            'import { draw, worst } from "./services/insights/pages/static/funnel.js";'
            f"const funnels = {sent};"
            "console.log(JSON.stringify(funnels.map((f) => [draw(f), worst(f.stages)?.stage ?? null])))"
        )
    )
    for (stages, back), (picture, low) in zip(funnels, drawn, strict=True):
        here = json.loads(json.dumps(asdict(draw(stages, back))))
        assert same(here, picture), (here, picture)
        assert [share["said"] for share in here["shares"]] == [share["said"] for share in picture["shares"]]
        here_low = worst(stages)
        assert (here_low["stage"] if here_low else None) == low


def test_bars_are_to_scale_and_stand_on_the_floor() -> None:
    bars = draw(STAGE_COUNTS, []).bars
    assert bars[0].height == TALLEST
    for bar, stage in zip(bars, STAGE_COUNTS, strict=True):
        assert bar.height / TALLEST == pytest.approx(stage["leads"] / STAGE_COUNTS[0]["leads"])
        assert bar.y + bar.height == pytest.approx(TALLEST)


def test_the_worst_share_is_marked_once() -> None:
    marked = [share for share in draw(STAGE_COUNTS, []).shares if share.worst]
    assert [(share.stage, share.said) for share in marked] == [("customer", "41.1\u00a0%")]


def test_of_fewer_than_five_leads_no_share_is_said() -> None:
    drawing = draw(counts([4, 2, 2, 0, 0, 0, 0, 0, 0], [0] * 9), [])
    assert [share.said for share in drawing.shares] == ["too few", "too few", "too few", "", "", "", "", ""]
    assert not [share for share in drawing.shares if share.worst]


def test_flows_back_that_share_a_column_are_drawn_one_below_the_other() -> None:
    dice = random.Random(7)
    for _ in range(100):
        flows = draw(*a_funnel(dice)).flows
        for lane in {flow.y for flow in flows}:
            spans = sorted((flow.arrives, flow.leaves) for flow in flows if flow.y == lane)
            assert all(before[1] <= after[0] for before, after in pairwise(spans))
