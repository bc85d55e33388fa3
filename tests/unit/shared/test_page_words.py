"""How figures, moments and places are written on pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.applications import Starlette

from shared.lifecycle import MAIN_LINE, Stage
from shared.pages import static_files
from shared.pages.calendar import Calendar
from shared.pages.figures import figure, money, percent, points, signed, whole
from shared.pages.navigation import console
from shared.pages.stages import STAGES, named

STOCKHOLM = Calendar(ZoneInfo("Europe/Stockholm"))
NOW = datetime(2026, 11, 17, 13, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (figure(4812), "4,812"),
        (figure(-3), "−3"),
        (points(84.04), "84.0"),
        (points(None), "unknown"),
        (whole(84.4), "84"),
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


def test_a_moment_is_a_clock_time_today_and_a_date_before() -> None:
    assert STOCKHOLM.when(NOW, NOW) == "14:32"
    assert STOCKHOLM.when(NOW - timedelta(days=3), NOW) == "14 Nov"
    assert STOCKHOLM.when(NOW - timedelta(days=400), NOW) == "13 Oct 2025"
    # 23:30 in London is already the next day in Stockholm.
    late = datetime(2026, 11, 16, 23, 30, tzinfo=UTC)
    assert STOCKHOLM.when(late, NOW) == "00:30"
    assert Calendar(UTC).when(late, NOW) == "16 Nov"


def test_days_have_their_names() -> None:
    assert STOCKHOLM.long_day(NOW, NOW) == "Today, 17 November"
    assert STOCKHOLM.long_day(NOW - timedelta(days=3), NOW) == "Saturday, 14 November"
    assert STOCKHOLM.deadline(NOW + timedelta(minutes=15), NOW) == "14:47"
    assert STOCKHOLM.deadline(NOW + timedelta(days=6), NOW) == "Monday 23 November, 14:32"


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
    assert STOCKHOLM.age(NOW - past, NOW) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=1), "1 s"),
        (timedelta(minutes=4, seconds=50), "4 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=10, hours=20, minutes=9), "10 d 20 h"),
    ],
)
def test_a_length_of_time_is_said_by_its_two_largest_units(length: timedelta, said: str) -> None:
    assert STOCKHOLM.stay(NOW, NOW + length) == said


def test_items_stand_under_their_day() -> None:
    items = [{"at": NOW}, {"at": NOW - timedelta(hours=1)}, {"at": NOW - timedelta(days=1)}]
    assert [(day, len(its)) for day, its in STOCKHOLM.by_day(items, NOW)] == [
        ("Today, 17 November", 2),
        ("Monday, 16 November", 1),
    ]


def test_every_stage_has_a_name_and_the_main_line_goes_down() -> None:
    assert set(STAGES) == set(Stage)
    assert [named(stage).depth for stage in MAIN_LINE] == list(range(1, 10))
    assert all(bool(name.depth) != bool(name.sign) for name in STAGES.values())
    assert named("of tomorrow").full == "of tomorrow"


def test_the_side_bar_leads_only_to_what_is_there() -> None:
    addresses = {"insights": "", "handover": "http://127.0.0.1:8004"}
    seen = console("home", addresses, "Tarn Sensors")
    places = [place for group in seen.groups for place in group.places]
    assert [(place.label, place.address) for place in places] == [
        ("Home", "/"),
        ("Leads", "/leads"),
        ("Handover", "http://127.0.0.1:8004/docs"),
        ("Insights", "/docs"),
    ]
    assert [place.label for place in places if place.current] == ["Home"]
    fewer = console("home", addresses, "Tarn Sensors", without=["leads"])
    assert [place.label for group in fewer.groups for place in group.places] == ["Home", "Handover", "Insights"]
    assert console("mails", {"nurture": ""}, "").find == ""


async def test_files_of_a_service_and_shared_ones_are_served_and_asked_for_each_time(tmp_path: Path) -> None:
    (tmp_path / "own.css").write_text("b {}")
    app = Starlette(routes=static_files("capture", tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pages") as browser:
        own = await browser.get("/static/capture/own.css")
        assert (own.status_code, own.text, own.headers["cache-control"]) == (200, "b {}", "no-cache")
        again = await browser.get("/static/capture/own.css", headers={"If-None-Match": own.headers["etag"]})
        assert again.status_code == 304
        assert (await browser.get("/static/fonts/inter-latin.woff2")).headers["content-type"] == "font/woff2"
        assert (await browser.get("/static/../layouts/page.html")).status_code == 404
        assert (await browser.get("/static/capture/none.css")).status_code == 404
