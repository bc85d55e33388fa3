"""A file becomes leads as history, is judged at its end, goes on where it was stopped, and never takes a row twice."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.capture.importing import run as importing
from services.capture.importing.ledger import BeingImported
from services.capture.importing.report import Report
from services.capture.importing.run import Progress, run_import
from shared.errors import NotFound
from shared.events.topics import Topic
from tests.support.capturing import Capturing, capturing
from tests.support.set_clock import SetClock

PROJECT = Path(__file__).parents[3]
MAP = """
site: demo
lead: {email: "{Mail}", phone: "{Phone}", name: "{Name}", company: "{Company}"}
fields: {fleet: "{Fleet}"}
activity: {type: form_submitted, at: "{Date}", at_format: "%d.%m.%Y"}
activities:
  - {type: page_viewed, times: "{Views}", at: "{Date}", at_format: "%d.%m.%Y"}
  - type: purchase
    when: {Bought: {not: ""}}
    at: "{Bought}"
    at_format: "%d.%m.%Y"
    value: "{Value}"
    currency: SEK
consent:
  marketing: {granted: {Newsletter: "yes"}, text: "Send me mail", at: "{Date}", at_format: "%d.%m.%Y"}
"""
COLUMNS = ("Mail", "Phone", "Name", "Company", "Fleet", "Date", "Views", "Bought", "Value", "Newsletter")
ROWS = (
    ("mara@norrvik.example", "+46701740642", "Mara", "Norrvik", "11", "01.03.2024", "2", "05.04.2024", "900", "yes"),
    ("erik@norrvik.example", "", "Erik", "Norrvik", "", "02.03.2024", "0", "", "", ""),
    ("MARA@norrvik.example", "", "Mara L", "", "12", "03.03.2024", "", "", "", ""),
    ("not an address", "", "Nobody", "", "", "04.03.2024", "", "", "", ""),
    ("", "+46701740699", "Caller", "", "", "05.03.2024", "", "", "", ""),
    ("x@mailinator.com", "", "Thrown away", "", "", "06.03.2024", "", "", "", ""),
    ("late@norrvik.example", "", "Late", "", "", "31.02.2024", "", "", "", ""),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    write(path, ROWS)
    return path


def write(path: Path, rows: Any) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])


async def bring(capture: Capturing, file: Path, map_text: str = MAP, **how: Any) -> Report:
    how = {"dry_run": False, "errors": file.with_suffix(".errors.csv"), **how}
    return await run_import(capture.runtime, file, map_text, **how)


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.new, report.merged, report.repeated, report.quarantined


async def lead_of(capture: Capturing, key: str) -> Any:
    return await capture.value("SELECT lead_id FROM capture.identity WHERE key = $1", key)


async def test_rows_become_leads_at_their_own_time_and_start_nothing(capture: Capturing, file: Path) -> None:
    report = await bring(capture, file)
    assert counts(report) == (4, 1, 0, 2)
    assert report.merged_because == {"same e-mail address": 1}
    mara = await lead_of(capture, "e:mara@norrvik.example")
    said = await capture.said(mara)
    assert all(event.history for event in said)
    assert {event.attributes.actorkind for event in said} == {"import"}
    facts = [(event.data.activity, event.time.strftime("%d.%m.%Y")) for event in said if event.topic is Topic.ACTIVITY]
    today = capture.runtime.clock.now().strftime("%d.%m.%Y")
    assert facts == [
        ("form_submitted", "01.03.2024"),
        ("page_viewed", "01.03.2024"),
        ("page_viewed", "01.03.2024"),
        ("purchase", "05.04.2024"),
        ("form_submitted", "03.03.2024"),
        ("import_ended", today),
    ]
    card = await capture.card(mara)
    assert (card["name"], card["answers"], card["phone"]) == ("Mara L", {"fleet": "12"}, "+46701740642")
    assert card["consent"]["marketing"]["at"].startswith("2024-03-01")
    assert (card["first_touch"]["at"], card["last_touch"]["at"]) == ("2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z")
    bought = next(event for event in said if event.data.__class__.__name__ == "StageChanged" and event.seq == 2)
    assert (bought.data.to, bought.data.reason, bought.data.value) == ("registered", "purchase", "900")
    assert bought.time == datetime(2024, 4, 5, tzinfo=UTC)
    assert await capture.value("SELECT count(*) FROM capture.timer") == 0


async def test_every_lead_is_judged_once_at_the_end(capture: Capturing, file: Path) -> None:
    await bring(capture, file)
    ended = [event for event in await capture.said(topic=Topic.ACTIVITY) if event.data.activity == "import_ended"]
    assert Counter(event.lead_id for event in ended) == dict.fromkeys({event.lead_id for event in ended}, 1)
    assert len(ended) == 4
    assert all(event.data.judge and event.history and event.data.reason == "nothing" for event in ended)


@pytest.mark.parametrize("start", ["journeys", "handover"])
async def test_the_judgement_may_start_something_when_asked_to(capture: Capturing, file: Path, start: str) -> None:
    await bring(capture, file, start=start)
    ended = [event for event in await capture.said(topic=Topic.ACTIVITY) if event.data.activity == "import_ended"]
    assert {(event.history, event.data.reason) for event in ended} == {(False, start)}
    others = [event for event in await capture.said(topic=Topic.ACTIVITY) if event.data.activity != "import_ended"]
    assert all(event.history for event in others)
    assert await capture.value("SELECT count(*) FROM capture.timer") == 1, "the throw-away address is to be confirmed"


async def test_a_dry_run_says_the_same_and_writes_nothing(capture: Capturing, file: Path) -> None:
    seen: list[Progress] = []
    rehearsed = await bring(capture, file, dry_run=True, progress=seen.append)
    assert seen[-1].done == seen[-1].total == file.stat().st_size
    assert await capture.said() == []
    assert await capture.value("SELECT count(*) FROM capture.import_run") == 0
    assert rehearsed == await bring(capture, file)
    again = await bring(capture, file, dry_run=True)
    assert counts(again) == (0, 0, 5, 2)


async def test_rows_that_cannot_be_taken_can_be_mended_and_imported_again(capture: Capturing, file: Path) -> None:
    await bring(capture, file)
    errors = file.with_suffix(".errors.csv")
    text = errors.read_text(encoding="utf-8-sig")
    assert "there is no @ in it" in text
    mended = file.with_name("mended.csv")
    mended.write_text(text.replace("not an address", "found@norrvik.example").replace("31.02.2024", "28.02.2024"))
    report = await bring(capture, mended)
    assert counts(report) == (2, 0, 0, 0)
    assert not mended.with_suffix(".errors.csv").exists()
    assert await capture.value("SELECT count(*) FROM capture.import_refused") == 0


async def test_the_same_file_again_changes_nothing_and_a_better_map_adds_what_is_new(
    capture: Capturing, file: Path
) -> None:
    await bring(capture, file)
    before = len(await capture.said())
    assert counts(await bring(capture, file)) == (0, 0, 5, 2)
    assert len(await capture.said()) == before
    better = MAP.replace("activities:", "activities:\n  - {type: asset_downloaded, when: {Fleet: '11'}, asset: guide}")
    assert counts(await bring(capture, file, better)) == (0, 1, 4, 2)
    mara = await lead_of(capture, "e:mara@norrvik.example")
    assert (await capture.activities(mara))[-2:] == ["asset_downloaded", "import_ended"]


async def test_two_equal_rows_are_one_and_known_people_are_merged_into(capture: Capturing, file: Path) -> None:
    mara = await capture.submit(email="mara@norrvik.example", name="Mara Lindqvist", fields={"fleet": "40"})
    write(file, [ROWS[0], ROWS[0], ROWS[1]])
    assert counts(await bring(capture, file)) == (1, 1, 1, 0)
    card = await capture.card(mara)
    assert (card["name"], card["answers"]) == ("Mara Lindqvist", {"fleet": "40"}), "what was said later stays"
    assert card["first_touch"]["channel"] == "import"


class Stopped(BaseException):
    """As a kill would end it."""


async def test_an_import_that_is_stopped_goes_on_and_doubles_nothing(
    capture: Capturing, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 7)
    monkeypatch.setattr(importing, "JUDGED_TOGETHER", 9)
    rows = [
        (f"p{n}@norrvik.example" if n % 10 else "wrong", "", f"P{n}", "", str(n), "01.03.2024", "1", "", "", "")
        for n in range(100)
    ]
    write(file, rows)
    stops = iter([1, 4, 7, 2, 3, 5])

    for _ in range(6):
        left = [next(stops)]

        def stop(progress: Progress, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Stopped

        with pytest.raises(Stopped):
            await bring(capture, file, progress=stop)
    seen: list[Progress] = []
    report = await bring(capture, file, progress=seen.append)
    assert all(progress.resumed for progress in seen)
    assert counts(report) == (90, 0, 0, 10)
    assert report.done_before == seen[0].report.done_before == 100, "it was stopped last while leads were judged"
    assert await capture.value("SELECT count(*) FROM capture.lead") == 90
    facts = Counter(event.data.activity for event in await capture.said(topic=Topic.ACTIVITY))
    assert facts == {"form_submitted": 90, "page_viewed": 90, "import_ended": 90}
    with file.with_suffix(".errors.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert [row["Name"] for row in csv.DictReader(stream)] == [f"P{n}" for n in range(0, 100, 10)]


async def test_a_batch_whose_answer_was_lost_is_not_taken_twice(
    capture: Capturing, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = importing._Import._commit  # pyright: ignore[reportPrivateUsage]
    lost: list[bool] = []

    async def losing(self: Any, *given: Any) -> Report:
        report = await whole(self, *given)
        if not lost:
            lost.append(True)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return report

    monkeypatch.setattr(importing._Import, "_commit", losing)  # pyright: ignore[reportPrivateUsage]
    assert counts(await bring(capture, file)) == (4, 1, 0, 2)
    assert await capture.value("SELECT count(*) FROM capture.submission") == 5


async def test_a_row_that_the_database_refuses_is_quarantined_alone(own_dsn: str, file: Path) -> None:
    async with capturing(own_dsn) as capture:
        await capture.fetch("ALTER TABLE capture.submission ADD CHECK (body NOT LIKE '%erik%')")
        report = await bring(capture, file)
    assert counts(report) == (3, 1, 0, 3)
    assert report.quarantined_because["it could not be stored"] == 1


async def test_two_processes_do_not_import_one_file_together(
    capture: Capturing, file: Path, clock: SetClock, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    async with capturing(dsn, clock) as second:

        class Once(Exception):
            pass

        started: list[Any] = []

        async def other() -> None:
            await bring(second, file)

        def meanwhile(progress: Progress) -> None:
            if not started:
                started.append(True)
                raise Once

        with pytest.raises(Once):
            await bring(capture, file, progress=meanwhile)
        one = bring(capture, file)
        await other()
        assert counts(await one) == (0, 0, 5, 2)
    assert await capture.value("SELECT count(*) FROM capture.submission") == 5
    assert BeingImported().status == 409


async def test_a_site_that_is_not_there_is_named(capture: Capturing, file: Path) -> None:
    with pytest.raises(NotFound, match="shop"):
        await bring(capture, file, MAP.replace("site: demo", "site: shop"))


@pytest.fixture
async def fresh(own_dsn: str) -> AsyncGenerator[Capturing]:
    async with capturing(own_dsn) as made:
        yield made


@pytest.mark.timeout(300)
async def test_a_real_file_of_seven_thousand_leads(fresh: Capturing, shared_data: Path, tmp_path: Path) -> None:
    map_text = (PROJECT / "docs" / "examples" / "x-education-map.yaml").read_text()
    folder = shared_data / "x-education"
    report = await run_import(
        fresh.runtime, folder / "leads.csv", map_text, dry_run=False, errors=tmp_path / "errors.csv"
    )
    assert counts(report) == (6992, 0, 0, 0)
    bought = 'SELECT count(DISTINCT lead_id) FROM bus.capture_log WHERE body LIKE \'%"activity":"purchase"%\''
    assert await fresh.value(bought) == 2662
    assert await fresh.value("SELECT count(*) FROM bus.capture_log WHERE attributes NOT LIKE '%\"history\":true%'") == 0
    judged = "SELECT count(*) FROM bus.capture_log WHERE body LIKE '%\"import_ended\"%'"
    assert await fresh.value(judged) == 6992
    broken = await run_import(
        fresh.runtime, folder / "leads.broken-quoting.csv", map_text, dry_run=False, errors=tmp_path / "errors.csv"
    )
    assert counts(broken) == (0, 0, 6992, 0)
