"""How figures, moments and places are written on pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from shared.lifecycle import MAIN_LINE, Stage
from shared.pages import static_files
from shared.pages.calendar import Calendar
from shared.pages.figures import figure, whole
from shared.pages.stages import STAGES, named
from shared.web import build_app

STOCKHOLM = Calendar(ZoneInfo("Europe/Stockholm"))
NOW = datetime(2026, 11, 17, 13, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "said"),
    [(figure(4812), "4,812"), (figure(-3), "−3"), (whole(84.4), "84"), (whole(None), "unknown")],
)
def test_a_figure_is_written_for_people(written: str, said: str) -> None:
    assert written == said


def test_a_deadline_names_its_day() -> None:
    assert STOCKHOLM.deadline(NOW + timedelta(minutes=15), NOW) == "14:47"
    assert STOCKHOLM.deadline(NOW + timedelta(days=6), NOW) == "Monday 23 November, 14:32"


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


def test_every_stage_has_a_name_and_the_main_line_goes_down() -> None:
    assert set(STAGES) == set(Stage)
    assert [named(stage).depth for stage in MAIN_LINE] == list(range(1, 10))
    assert all(bool(name.depth) != bool(name.sign) for name in STAGES.values())
    assert named("of tomorrow").full == "of tomorrow"


async def test_files_of_a_service_and_shared_ones_are_served_and_asked_for_each_time(tmp_path: Path) -> None:
    (tmp_path / "own.css").write_text("b {}")
    app = build_app("capture", routes=static_files("capture", tmp_path), operator_key="a key")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pages") as browser:
        own = await browser.get("/static/capture/own.css")
        assert (own.status_code, own.text, own.headers["cache-control"]) == (200, "b {}", "no-cache")
        again = await browser.get("/static/capture/own.css", headers={"If-None-Match": own.headers["etag"]})
        assert again.status_code == 304
        assert (await browser.get("/static/fonts/inter-latin.woff2")).headers["content-type"] == "font/woff2"
        assert (await browser.get("/static/../layouts/page.html")).status_code == 404
        assert (await browser.get("/static/capture/none.css")).status_code == 404
