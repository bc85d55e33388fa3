"""Working time: what fits into the hours, over nights, weekends and changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handover.domain.working_hours import WorkingHours, extended

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
OFFICE = WorkingHours(zone=BERLIN)
AROUND_THE_CLOCK = WorkingHours.parse("Mon-Sun 00:00-24:00", BERLIN)
QUARTER = timedelta(minutes=15)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("start", "working", "end"),
    [
        ("2026-03-03 10:00", 15, "2026-03-03 10:15"),
        ("2026-03-03 17:45", 15, "2026-03-03 18:00"),  # exactly at closing is still in time
        ("2026-03-03 17:50", 15, "2026-03-04 09:05"),
        ("2026-03-03 20:00", 15, "2026-03-04 09:15"),
        ("2026-03-03 07:00", 15, "2026-03-03 09:15"),
        ("2026-03-06 17:50", 15, "2026-03-09 09:05"),  # Friday to Monday
        ("2026-03-07 12:00", 15, "2026-03-09 09:15"),  # Saturday
        ("2026-03-06 09:00", 9 * 60, "2026-03-06 18:00"),
        ("2026-03-06 09:00", 9 * 60 + 1, "2026-03-09 09:01"),
        ("2026-12-31 17:55", 15, "2027-01-01 09:10"),
    ],
)
def test_an_offer_runs_out_after_so_many_working_minutes(start: str, working: int, end: str) -> None:
    assert OFFICE.after(berlin(start), timedelta(minutes=working)) == berlin(end)
    assert OFFICE.between(berlin(start), berlin(end)) == timedelta(minutes=working)


def test_the_hours_follow_the_local_clock_when_it_changes() -> None:
    # Berlin goes to summer time on Sunday 29 March 2026: Monday 09:00 is an hour earlier in UTC than Friday 09:00.
    assert OFFICE.after(berlin("2026-03-27 17:50"), QUARTER) == datetime(2026, 3, 30, 7, 5, tzinfo=UTC)
    assert OFFICE.after(berlin("2026-03-20 17:50"), QUARTER) == datetime(2026, 3, 23, 8, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("night", "hours"),
    [("2026-03-29 00:00", 23), ("2026-10-25 00:00", 25), ("2026-06-01 00:00", 24)],
)
def test_a_day_on_which_the_clock_changes_has_as_many_hours_as_pass(night: str, hours: int) -> None:
    start = berlin(night)
    assert AROUND_THE_CLOCK.between(start, (start + timedelta(days=1)).replace(tzinfo=BERLIN)) == timedelta(hours=hours)


def test_an_hour_over_the_change_of_the_clock_is_an_hour() -> None:
    # 01:30 winter time and one hour of work later it is 03:30 summer time.
    assert AROUND_THE_CLOCK.after(berlin("2026-03-29 01:30"), timedelta(hours=1)) == berlin("2026-03-29 03:30")


def test_an_opening_that_the_clock_leaves_out_is_an_hour_later_on_it() -> None:
    early = WorkingHours(frozenset({6}), time(2, 30), time(6), BERLIN)
    assert early.after(berlin("2026-03-29 00:00"), QUARTER) == berlin("2026-03-29 03:45")


@pytest.mark.parametrize(
    ("text", "days", "opens", "closes"),
    [
        ("Mon-Fri 09:00-18:00", {0, 1, 2, 3, 4}, time(9), time(18)),
        ("sat 10:00-14:30", {5}, time(10), time(14, 30)),
        ("Sun-Thu 8:00-17:00", {6, 0, 1, 2, 3}, time(8), time(17)),
        ("Mon-Sun 00:00-24:00", set(range(7)), time(0), time.max),
    ],
)
def test_working_hours_are_read(text: str, days: set[int], opens: time, closes: time) -> None:
    assert WorkingHours.parse(text) == WorkingHours(frozenset(days), opens, closes, UTC)


@pytest.mark.parametrize(
    "text", ["", "9-18", "Mon-Fri", "Mon-Fry 9:00-18:00", "Mon-Fri 18:00-09:00", "Mon 09:00-25:00"]
)
def test_what_are_no_working_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|names|hour"):
        WorkingHours.parse(text)


@pytest.mark.parametrize(
    ("due", "away_from", "away_until", "new_due"),
    [
        ("2026-03-03 10:15", "2026-03-03 10:05", "2026-03-03 10:10", "2026-03-03 10:20"),  # away for five minutes
        ("2026-03-03 10:15", "2026-03-03 10:05", "2026-03-03 11:00", "2026-03-03 11:10"),  # ran out while away
        ("2026-03-03 10:15", "2026-03-03 10:20", "2026-03-03 11:00", "2026-03-03 10:15"),  # ran out before
        ("2026-03-04 09:05", "2026-03-03 19:00", "2026-03-04 07:00", "2026-03-04 09:05"),  # away by night only
        ("2026-03-04 09:05", "2026-03-03 17:55", "2026-03-04 09:30", "2026-03-04 09:40"),  # from the evening on
        ("2026-03-09 09:05", "2026-03-06 17:55", "2026-03-09 08:00", "2026-03-09 09:10"),  # over the weekend
    ],
)
def test_time_in_which_nobody_could_answer_does_not_count(
    due: str, away_from: str, away_until: str, new_due: str
) -> None:
    assert extended(berlin(due), berlin(away_from), berlin(away_until), OFFICE) == berlin(new_due)


def moments(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


MOMENTS = moments("2026-01-01", "2027-12-31")
HOURS = st.sampled_from(
    [
        OFFICE,
        AROUND_THE_CLOCK,
        WorkingHours.parse("Fri-Mon 22:15-24:00", NEW_YORK),
        WorkingHours.parse("Sun 01:30-03:30", BERLIN),
    ]
)
LENGTHS = st.timedeltas(timedelta(seconds=1), timedelta(hours=200))


@given(MOMENTS, LENGTHS, HOURS)
def test_as_much_working_time_lies_between_start_and_end_as_was_asked_for(
    start: datetime, working: timedelta, hours: WorkingHours
) -> None:
    end = hours.after(start, working)
    assert hours.between(start, end) == working
    assert hours.between(start, end - timedelta(microseconds=1)) < working


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=20)), st.timedeltas(timedelta(0), timedelta(days=20)), HOURS)
def test_working_time_adds_up(start: datetime, first: timedelta, second: timedelta, hours: WorkingHours) -> None:
    middle, end = start + first, start + first + second
    assert hours.between(start, middle) + hours.between(middle, end) == hours.between(start, end)


@given(
    MOMENTS,
    LENGTHS,
    st.timedeltas(timedelta(0), timedelta(days=5)),
    st.timedeltas(timedelta(0), timedelta(days=5)),
    HOURS,
)
def test_a_rep_has_all_of_the_time_to_answer_whenever_nobody_could(
    offered: datetime, lasts: timedelta, until_away: timedelta, away: timedelta, hours: WorkingHours
) -> None:
    due = hours.after(offered, lasts)
    away_from, back = offered + until_away, offered + until_away + away
    new_due = extended(due, away_from, back, hours)
    assert new_due >= due
    if away_from < due and away:
        answerable = hours.between(offered, away_from) + hours.between(back, new_due)
        assert answerable == lasts
    else:
        assert new_due == due


@given(
    moments("2026-03-26", "2026-04-02").map(lambda at: at.replace(second=0, microsecond=0)),
    st.integers(0, 4000),
)
def test_it_agrees_with_counting_every_minute_of_the_local_clock(start: datetime, minutes: int) -> None:
    counted = 0
    for minute in range(minutes):
        local = (start + timedelta(minutes=minute)).astimezone(BERLIN)
        counted += local.weekday() < 5 and time(9) <= local.time() < time(18)
    assert OFFICE.between(start, start + timedelta(minutes=minutes)) == timedelta(minutes=counted)
