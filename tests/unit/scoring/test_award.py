from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.award import Award, reaches, total, worth
from services.scoring.domain.moments import DAY, HOUR

NOBODY = UUID(int=1)


@pytest.mark.parametrize(
    ("tenths", "half_life", "age", "left"),
    [
        (100, DAY, 0, 100),
        (100, DAY, DAY, 50),
        (100, DAY, 2 * DAY, 25),
        (100, 30 * DAY, 15 * DAY, 71),  # 7.07
        (-100, DAY, DAY, -50),
        (1, DAY, DAY, 1),  # 0.05 is rounded away from zero
        (-1, DAY, DAY, -1),
        (1, DAY, DAY + 1, 0),
        (100, None, 10_000 * DAY, 100),
        (100, DAY, -DAY, 100),
    ],
)
def test_half_of_the_points_is_left_after_each_half_life(
    tenths: int, half_life: int | None, age: int, left: int
) -> None:
    assert worth(tenths, half_life, age) == left


points = st.integers(1, 2000)
half_lives = st.integers(HOUR, 400 * DAY)


@given(points, half_lives, st.data())
def test_the_moment_at_which_points_reach_a_worth_is_exact_to_the_microsecond(
    tenths: int, half_life: int, data: st.DataObject
) -> None:
    left = data.draw(st.integers(0, tenths - 1))

    age = reaches(tenths, half_life, left)

    assert worth(tenths, half_life, age) <= left
    assert worth(tenths, half_life, age - 1) > left


@given(points, half_lives, st.integers(0, 10**14), st.integers(0, 10**14))
def test_points_never_grow_with_age(tenths: int, half_life: int, one: int, other: int) -> None:
    younger, older = sorted((one, other))
    assert worth(tenths, half_life, younger) >= worth(tenths, half_life, older) >= 0
    assert worth(-tenths, half_life, older) == -worth(tenths, half_life, older)


def test_an_award_that_does_not_decay_is_never_worthless() -> None:
    assert Award("page", NOBODY, 0, 10).worthless_at is None


def test_ten_points_are_worthless_once_they_round_to_nothing() -> None:
    award = Award("page", NOBODY, 0, 100, DAY)
    end = award.worthless_at
    assert end is not None
    assert (award.worth(end - 1), award.worth(end)) == (1, 0)
    assert 7.6 < end / DAY < 7.7  # 10 * 2 ** -7.64 is 0.05


def test_a_total_is_the_sum_of_rounded_awards() -> None:
    awards = [Award("page", NOBODY, 0, 5, DAY), Award("page", NOBODY, 0, 5, DAY), Award("page", NOBODY, 0, -20)]
    assert total(awards, DAY) == 3 + 3 - 20
