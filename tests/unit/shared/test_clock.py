from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock, uuid7, uuid7_at
from tests.support.set_clock import SetClock

MOMENT = datetime(2026, 3, 1, 9, 0, 0, 5_000, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 30_000_000_000_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms))


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_set_clock_stands_still_until_it_is_moved() -> None:
    clock = SetClock(MOMENT)
    assert clock.now() == clock.now() == MOMENT
    assert clock.advance(timedelta(days=2)) == clock.now() == MOMENT + timedelta(days=2)
    clock.set(MOMENT)
    assert clock.now() == MOMENT


def test_a_set_clock_tells_utc_whatever_zone_it_was_set_in() -> None:
    clock = SetClock(MOMENT.astimezone(timezone(timedelta(hours=5))))
    assert clock.now() == MOMENT
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("use", [SetClock, uuid7_at, uuid7])
def test_a_time_without_a_zone_is_refused(use: type) -> None:
    with pytest.raises(ValueError, match="no timezone"):
        use(datetime(2026, 1, 1))  # noqa: DTZ001


def test_ids_made_in_a_row_ascend_and_are_version_seven() -> None:
    ids = [uuid7() for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


@given(MOMENTS, st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)))
def test_the_bound_of_a_moment_divides_earlier_ids_from_later_ones(moment: datetime, step: timedelta) -> None:
    assert uuid7(moment) >= uuid7_at(moment)
    assert uuid7(moment + step) > uuid7_at(moment)
    if moment - step >= EPOCH:
        assert uuid7(moment - step) < uuid7_at(moment)


@given(MOMENTS)
def test_the_bound_is_a_valid_id_that_carries_its_millisecond(moment: datetime) -> None:
    bound = uuid7_at(moment)
    assert (bound.version, bound.variant) == (7, "specified in RFC 4122")
    assert bound.int >> 80 == (moment - EPOCH) // timedelta(milliseconds=1)
