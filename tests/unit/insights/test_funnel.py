"""What a funnel says follows from the stage events alone, in whatever order facts are told."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from services.insights.domain.funnel import Funnel, funnel
from services.insights.domain.progress import Back, Progress
from services.insights.domain.tally import NOW, Origin, Tally, tallies
from shared.events.stage import StageChanged
from shared.lifecycle import Stage
from shared.reasons import Reason
from tests.support.lives import Life
from tests.support.recount import recount

AT = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
REGISTERED = [("captured", "first_interest"), ("registered", "contact_valid")]
OFFERED = [("sql", "high_intent"), ("handed_over", "offered")]
ORIGIN = Origin("demo", "google", "search ads", "spring")


def progress_of(*steps: tuple[str, str], cycle: int = 1, zone: str = "UTC") -> tuple[Progress, Stage]:
    """A lead that took these steps, an hour apart."""
    progress, frm = Progress(), None
    for hours, (to, why) in enumerate(steps):
        stage = Stage(to)
        if why == Reason.new_cycle:
            cycle += 1
        progress.enter(frm, stage, why, cycle, AT + timedelta(hours=hours), "")
        frm = stage
    progress.date(ZoneInfo(zone))
    assert frm is not None
    return progress, frm


def measures(sums: Counter[Tally], day: date = NOW) -> list[str]:
    return sorted(tally.measure for tally in sums if tally.day == day)


def test_who_is_in_a_stage_has_reached_all_before_it() -> None:
    progress, stage = progress_of(*REGISTERED, ("sql", "high_intent"))
    sums = tallies(progress, stage, ORIGIN, test=False)
    assert measures(sums) == [
        "now:sql", "reached:captured", "reached:iql", "reached:mql", "reached:registered", "reached:sql",
    ]  # fmt: skip
    assert set(sums.values()) == {1}


def test_a_stage_that_was_passed_by_counts_on_the_day_a_later_one_was_reached() -> None:
    progress, stage = progress_of(*REGISTERED, ("sql", "high_intent"))
    sums = tallies(progress, stage, ORIGIN, test=False)
    assert measures(sums, date(2026, 3, 3)) == ["reached:captured"]
    assert measures(sums, date(2026, 3, 4)) == ["reached:iql", "reached:mql", "reached:registered", "reached:sql"]


def test_days_are_those_of_the_installation() -> None:
    progress, stage = progress_of(("captured", "first_interest"), zone="Europe/Stockholm")
    assert measures(tallies(progress, stage, ORIGIN, test=False), date(2026, 3, 4)) == ["reached:captured"]


def test_what_is_told_late_but_happened_first_moves_the_day_back() -> None:
    progress, stage = progress_of(*REGISTERED)
    progress.enter(Stage.registered, Stage.iql, "score_reached", 1, AT - timedelta(days=9), "")
    progress.date(UTC)
    assert measures(tallies(progress, stage, ORIGIN, test=False), date(2026, 2, 22)) == [
        "reached:captured", "reached:iql", "reached:registered",
    ]  # fmt: skip


def test_a_stage_entered_again_by_an_earlier_fact_is_reached_on_the_earlier_day() -> None:
    progress, stage = progress_of(*REGISTERED, ("mql", "score_reached"), ("iql", "score_fell"))
    progress.enter(Stage.iql, Stage.mql, "score_reached", 1, AT - timedelta(days=9), "")
    progress.date(UTC)
    assert progress.cycles[1].reached[Stage.mql].times == 2
    sums = tallies(progress, Stage.mql, ORIGIN, test=False)
    assert "reached:mql" in measures(sums, date(2026, 2, 22))
    assert "reached:mql" not in measures(sums, date(2026, 3, 4))
    assert stage is Stage.iql


def test_a_stage_entered_again_is_reached_once() -> None:
    progress, stage = progress_of(*REGISTERED, ("iql", "score_reached"),
        ("mql", "score_reached"), ("iql", "score_fell"), ("mql", "score_reached"), ("iql", "score_fell"),
    )  # fmt: skip
    sums = tallies(progress, stage, ORIGIN, test=False)
    assert sums[Tally(NOW, False, "reached:mql", ORIGIN, "")] == 1
    assert sums[Tally(NOW, False, "back:mql:iql:cooled", ORIGIN, "")] == 1
    assert progress.cycles[1].reached[Stage.mql].times == 2
    assert progress.cycles[1].back[Back(Stage.mql, Stage.iql, "cooled")].times == 2


def test_a_new_cycle_begins_anew_and_the_old_one_stays_in_its_days() -> None:
    progress, stage = progress_of(*REGISTERED, ("customer", "purchase"), ("registered", "new_cycle"))
    sums = tallies(progress, stage, ORIGIN, test=False)
    assert measures(sums) == [
        "back:customer:registered:started a new cycle", "now:registered", "reached:captured", "reached:registered",
    ]  # fmt: skip
    days = Counter(tally.measure for tally in sums.elements() if tally.day != NOW)
    assert days["reached:captured"] == 2
    assert days["reached:customer"] == 1


@pytest.mark.parametrize(
    ("ways", "back"),
    [
        ([("mql", "fit_and_engagement"), ("iql", "rules_changed")], ("mql", "iql", "judged anew")),
        ([*OFFERED, ("sql", "expired")], ("handed_over", "sql", "expired")),
        ([*OFFERED, ("sql", "reassigned")], ("handed_over", "sql", "reassigned")),
        ([("sql", "high_intent"), ("returned", "no_need"), ("mql", "hold_ended")], ("sql", "mql", "returned")),
        (
            [*OFFERED, ("accepted", "accepted"), ("lost", "no_budget"),
             ("iql", "hold_ended")],
            ("accepted", "iql", "taken up again"),
        ),
        (
            [("mql", "fit_and_engagement"), ("disqualified", "spam"), ("registered", "released")],
            ("mql", "registered", "released"),
        ),
        ([("mql", "fit_and_engagement"), ("iql", "manual")], ("mql", "iql", "went back")),
    ],
)  # fmt: skip
def test_a_way_back_has_a_word(ways: list[tuple[str, str]], back: tuple[str, str, str]) -> None:
    progress, _ = progress_of(*REGISTERED, *ways)
    assert [(way.frm, way.to, way.word) for way in progress.cycles[1].back] == [back]


def test_a_merged_lead_is_counted_with_the_one_that_goes_on() -> None:
    progress, stage = progress_of(*REGISTERED, ("merged", "merged"))
    assert not tallies(progress, stage, ORIGIN, test=False)
    progress.enter(Stage.merged, Stage.registered, "unmerged", 1, AT, "")
    progress.date(UTC)
    assert "now:registered" in measures(tallies(progress, Stage.registered, ORIGIN, test=False))


def test_a_prospect_has_not_come_into_the_funnel_nor_left_it() -> None:
    progress, stage = progress_of(("prospect", "fits_profile"), ("disqualified", "not_icp"))
    assert measures(tallies(progress, stage, ORIGIN, test=False)) == ["now:disqualified"]


def told(moves: list[StageChanged], progress: Progress) -> Stage:
    for move in moves:
        frm = Stage(move.from_) if move.from_ else None
        progress.enter(frm, Stage(move.to), move.reason, move.cycle, AT, "")
    progress.date(UTC)
    return Stage(moves[-1].to)


def test_the_funnel_equals_the_recount_of_the_stage_events() -> None:
    dice = random.Random(20260303)
    for _ in range(30):
        lives, sums = {}, Counter[tuple[str, str]]()
        for _ in range(dice.randint(0, 40)):
            life = Life(AT)
            life.wander(dice, dice.randint(1, 15))
            lives[uuid4()] = life.moves
            progress = Progress()
            stage = told(life.moves, progress)
            key = dice.choice("abc")
            for tally, leads in tallies(progress, stage, ORIGIN, test=False).items():
                if tally.day == NOW:
                    sums[key, tally.measure] += leads
        found = funnel(sums, most_groups=2)
        assert recount(lives).equals(as_answer(found))
        for at, whole in enumerate(found.stages):
            assert whole.leads == sum(group.stages[at].leads for group in found.groups)
            assert whole.conversion is None or 0 <= whole.conversion <= 1
        standing = sum(stage.now for stage in found.stages) + sum(found.left.values())
        assert standing == found.stages[0].leads


def as_answer(found: Funnel) -> dict[str, object]:
    return {
        "stages": [{"stage": one.stage, "leads": one.leads, "now": one.now} for one in found.stages],
        "back": [{"from": way.frm, "to": way.to, "word": way.word, "leads": leads} for way, leads in found.back],
        "left": {str(stage): leads for stage, leads in found.left.items()},
    }


def test_the_share_of_the_first_stage_and_of_nobody_is_not_told() -> None:
    found = funnel({("google", "reached:captured"): 8, ("google", "reached:registered"): 2}, most_groups=5)
    shares = [stage.conversion for stage in found.stages]
    assert shares == [None, 0.25, 0.0, None, None, None, None, None, None]


def test_keys_that_differ_by_capitals_alone_are_one_group_named_as_most_are() -> None:
    sums = {("google", "reached:captured"): 3, ("Google", "reached:captured"): 4, ("", "reached:captured"): 5}
    found = funnel({**sums, ("google", "reached:sql"): 2, ("GOOGLE", "reached:sql"): 0}, most_groups=5)
    assert [(group.key, group.stages[0].leads) for group in found.groups] == [("Google", 7), ("", 5)]
    assert next(one.leads for one in found.groups[0].stages if one.stage == Stage.sql) == 2


def test_the_smallest_groups_are_folded_into_one() -> None:
    sums = {(f"source {number}", "reached:captured"): 10 - number for number in range(5)}
    found = funnel(sums, most_groups=2)
    assert [(group.key, group.stages[0].leads, group.folded) for group in found.groups] == [
        ("source 0", 10, 0), ("source 1", 9, 0), ("others", 21, 3),
    ]  # fmt: skip
