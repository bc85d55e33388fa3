"""How the console writes figures, ages and days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from services.insights.answers import as_amount
from services.insights.domain.days import Days, age
from services.insights.domain.figures import money, percent, points, signed
from services.insights.lead_told import where_from

DAYS = Days(ZoneInfo("Europe/Stockholm"))
NOW = datetime(2026, 11, 17, 13, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (points(84.04), "84.0"),
        (points(None), "unknown"),
        (signed(40.0), "+40.0"),
        (signed(Decimal("-4.1")), "−4.1"),
        (signed(-0.04), "0.0"),
        (percent(0.708), "70.8\u00a0%"),
        (percent(0.0625), "6.3\u00a0%"),
        (percent(None), "unknown"),
        (money("18400.00", "EUR"), "€\u00a018,400"),
        (money("18400.50", "SEK"), "SEK\u00a018,400.50"),
        (money("-12", "USD"), "$\u00a0−12"),
    ],
)
def test_a_figure_is_written_for_people(written: str, said: str) -> None:
    assert written == said


@pytest.mark.parametrize(
    ("past", "said"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=23), "23 h"),
        (timedelta(hours=30), "yesterday"),
        (timedelta(days=34), "34 days"),
    ],
)
def test_an_age_is_said_in_one_unit(past: timedelta, said: str) -> None:
    assert age(NOW - past, NOW) == said


def test_days_have_their_names() -> None:
    assert DAYS.long_day(NOW, NOW) == "Today, 17 November"
    assert DAYS.long_day(NOW - timedelta(days=3), NOW) == "Saturday, 14 November"
    assert DAYS.long_day(NOW - timedelta(days=400), NOW) == "Monday, 13 October 2025"


def test_items_stand_under_their_day() -> None:
    items = [{"at": NOW}, {"at": NOW - timedelta(hours=1)}, {"at": NOW - timedelta(days=1)}]
    assert [(day, len(its)) for day, its in DAYS.by_day(items, NOW)] == [
        ("Today, 17 November", 2),
        ("Monday, 16 November", 1),
    ]


def test_a_moment_is_a_clock_time_today_and_a_date_before() -> None:
    assert DAYS.when(NOW, NOW) == "14:32"
    assert DAYS.when(NOW - timedelta(days=3), NOW) == "14 Nov"
    assert DAYS.when(NOW - timedelta(days=400), NOW) == "13 Oct 2025"
    # 23:30 in London is already the next day in Stockholm.
    late = datetime(2026, 11, 16, 23, 30, tzinfo=UTC)
    assert DAYS.when(late, NOW) == "00:30"
    assert Days(UTC).when(late, NOW) == "16 Nov"


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (" 18400,50 ", "18400.50"),
        ("7,5", "7.5"),
        ("18,400", "18,400"),
        ("1.234,50", "1.234,50"),
        ("18400.50", "18400.50"),
    ],
)
def test_a_comma_before_cents_is_a_point_and_one_that_may_stand_for_thousands_is_left_alone(
    typed: str, sent: str
) -> None:
    assert as_amount(typed) == sent


def test_where_a_lead_came_from_is_told_once_each_and_without_codes() -> None:
    touch = {"channel": "paid_search", "source": "google", "medium": "cpc", "campaign": "spring_sale"}
    assert where_from(touch) == "paid search, google, cpc, spring_sale"
    assert where_from({"channel": "email", "source": "", "medium": "email", "campaign": ""}) == "email"
