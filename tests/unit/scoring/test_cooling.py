from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.scoring.domain.award import Award, total
from services.scoring.domain.cooling import (
    first_below,
    first_crossing,
    holds,
    left_at,
    level_at,
    none_crossed_before,
)
from services.scoring.domain.engagement import Interest, fold, take
from services.scoring.domain.moments import DAY, HOUR
from services.scoring.domain.ruleset import Heat
from tests.support.rule_examples import day, fact, rules

RULES = rules()
NOBODY = UUID(int=1)


def award(tenths: int, half_life: int | None = DAY, at: int = 0) -> Award:
    return Award("some", NOBODY, at, tenths, half_life)


def test_ten_points_halving_daily_fall_below_two_and_a_half_when_they_round_to_less() -> None:
    at = first_below([award(100)], 25, 0)
    assert at is not None
    assert (award(100).worth(at - 1), award(100).worth(at)) == (25, 24)
    assert 2.02 < at / DAY < 2.04  # 10 * 2 ** -2.03 is 2.45


@pytest.mark.parametrize(
    ("awards", "level", "at"),
    [
        ([], 0, None),
        ([], 1, 0),
        ([award(100, None)], 100, None),
        ([award(100, None)], 101, 0),
        ([award(100, None), award(50)], 100, None),
        ([award(100)], 0, None),
        ([award(-100), award(50, None)], -49, 0),
        ([award(-100), award(150, None)], 50, None),  # takes ever less away
    ],
)
def test_what_does_not_fade_stays(awards: list[Award], level: int, at: int | None) -> None:
    assert first_below(awards, level, 0) == at


award_lists = st.lists(
    st.builds(
        award,
        st.integers(-300, 600).filter(bool),
        st.one_of(st.none(), st.integers(HOUR, 60 * DAY)),
        st.integers(-90, 2).map(lambda days: days * DAY),
    ),
    min_size=1,
    max_size=8,
)


def by_stepping(awards: list[Award], level: int, start: int, step: int, until: int) -> int | None:
    return next((at for at in range(start, until, step) if total(awards, at) < level), None)


@settings(max_examples=100, deadline=None)
@given(award_lists, st.integers(-50, 400))
@example([award(300, DAY), award(-200, 30 * DAY), award(40, None)], 30)
def test_the_solved_moment_is_the_first_one_and_is_found_by_stepping_too(awards: list[Award], level: int) -> None:
    solved = first_below(awards, level, 0)
    stepped = by_stepping(awards, level, 0, 12 * HOUR, 600 * DAY)
    if solved is None:
        assert stepped is None
        return
    assert total(awards, solved) < level
    assert solved == 0 or total(awards, solved - 1) >= level
    assert stepped is None or solved <= stepped
    # Nothing before it was below, as closely as one cares to look.
    assert by_stepping(awards, level, 0, max(1, solved // 300), solved) is None


HOT = Heat("hot", 400, 250, quiet_after=21 * DAY, intent_within=7 * DAY)


@pytest.mark.parametrize(
    ("awards", "earned_at", "intent_at", "left"),
    [
        ([award(400, 400 * DAY)], 0, None, 21 * DAY),  # quiet for too long
        ([award(100)], 0, 0, 7 * DAY),  # intent held it that long
        ([award(100)], 0, None, 0),
        ([award(400, None)], None, None, None),
    ],
)
def test_a_temperature_is_left_when_nothing_holds_it(
    awards: list[Award], earned_at: int | None, intent_at: int | None, left: int | None
) -> None:
    assert left_at(awards, HOT, 0, earned_at, intent_at) == left


@settings(max_examples=100, deadline=None)
@given(award_lists, st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
def test_what_holds_a_temperature_holds_it_until_it_is_left(
    awards: list[Award], earned: int, intent: int, later: int
) -> None:
    falling = [award for award in awards if award.tenths > 0]
    left = left_at(falling, HOT, 0, earned * DAY, intent * DAY)
    assert holds(falling, HOT, earned * DAY, intent * DAY, later * DAY) is (left is None or left > later * DAY)


@settings(max_examples=100, deadline=None)
@given(award_lists, st.lists(st.tuples(st.integers(-50, 400), st.integers(0, 90 * DAY)), max_size=3))
def test_of_several_lines_the_first_to_be_crossed_is_found(awards: list[Award], lines: list[tuple[int, int]]) -> None:
    falling = [award for award in awards if award.tenths > 0]
    each = [first_below(falling, level, start) for level, start in lines]
    assert first_crossing(falling, lines) == min((at for at in each if at is not None), default=None)


@settings(max_examples=300, deadline=None)
@given(award_lists, st.lists(st.tuples(st.integers(-50, 400), st.integers(0, 90 * DAY)), max_size=3))
@example([award(250, DAY)], [(25, 0)])
def test_before_the_moment_that_is_quickly_found_no_line_is_crossed(
    awards: list[Award], lines: list[tuple[int, int]]
) -> None:
    for some in (awards, [award for award in awards if award.tenths > 0]):
        quickly, crossed = none_crossed_before(some, lines), first_crossing(some, lines)
        assert (quickly is None) is (crossed is None)
        assert quickly is None or crossed is None or quickly <= crossed


def test_a_lead_far_above_a_line_is_left_alone_for_days() -> None:
    """If all of it halved every week, two thirds would be gone after eleven days."""
    quickly = none_crossed_before([award(300, 7 * DAY), award(100, 30 * DAY)], [(130, 0)])
    assert quickly is not None
    assert 10 * DAY < quickly < 12 * DAY


def test_a_lead_cools_from_hot_over_warm_to_cold_and_time_alone_warms_nobody() -> None:
    interest, _ = fold([fact("demo_requested", 0), fact("pricing_viewed", 0, 2)], RULES)

    def level(at: float) -> str:
        return interest.temperature(RULES, day(at))

    hot_until = left_at(interest.awards, RULES.heats["hot"], day(0), interest.earned_at, interest.intent_at)
    assert hot_until is not None
    assert interest.temperature(RULES, hot_until - 1) == "hot"
    assert interest.temperature(RULES, hot_until) == "warm"
    assert [level(at) for at in (0, 7, 60, 300)] == ["hot", "hot", "cold", "cold"]


def test_between_the_lines_a_lead_stays_what_it_was() -> None:
    entering, _ = fold([fact("pricing_viewed", 0, 1), fact("pricing_viewed", 0, 2)], RULES)
    assert entering.temperature(RULES, day(0)) == "warm"
    assert entering.engagement(day(13)) == 106  # below 12, where warm is entered; above 6, where it is left
    assert entering.temperature(RULES, day(13)) == "warm"
    fresh, _ = fold([fact("pricing_viewed", 13)], RULES)
    assert (fresh.engagement(day(13)), fresh.temperature(RULES, day(13))) == (100, "cold")


def test_an_unsubscription_cools_at_once() -> None:
    interest, _ = fold([fact("pricing_viewed", 0, 1), fact("pricing_viewed", 0, 2), fact("unsubscribed", 1, 3)], RULES)
    assert interest.temperature(RULES, day(1)) == "cold"


def test_a_dip_between_two_looks_is_not_overlooked() -> None:
    """20 points fading fast, 14 taken away fading slowly: below the line for a while, above it in the end."""
    awards = [award(300, DAY), award(-200, 20 * DAY), award(250, None)]
    heats = {"warm": Heat("warm", 200, 100)}
    assert total(awards, 0) >= 200
    assert total(awards, 8 * DAY) < 100
    assert total(awards, 200 * DAY) >= 200
    assert level_at(awards, "warm", 0, 0, None, heats, 200 * DAY) == "cold"


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["demo_requested", "pricing_viewed", "page_viewed", "unsubscribed"]), st.integers(0, 90)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_temperature_does_not_depend_on_how_often_one_looks(acts: list[tuple[str, int]]) -> None:
    facts = sorted((fact(name, at, number) for number, (name, at) in enumerate(acts)), key=lambda one: one.key)
    rarely, often = Interest(), Interest()
    for one in facts:
        take(rarely, one, RULES)
        for hour in range(0, 24 * 30, 72):
            often.level = often.temperature(RULES, at := max(often.level_at, one.at - (24 * 30 - hour) * HOUR))
            often.level_at = at
        take(often, one, RULES)
    for later in range(0, 400, 20):
        assert rarely.temperature(RULES, facts[-1].at + later * DAY) == often.temperature(
            RULES, facts[-1].at + later * DAY
        )
