"""A real file of 6,992 leads, as it should be and as it was found: some lines quoted whole by a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from services.capture.bodies import ActivityBody, read_lead
from services.capture.importing.layout import examine
from services.capture.importing.map_file import read_map
from services.capture.importing.mapping import ImportedRow, RowMapper, bind
from services.capture.importing.reading import Row, Unreadable, rows
from services.capture.parsing import Context, understand

PROJECT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("LEADLINE_SHARED", PROJECT.parent / "shared")) / "data" / "x-education"
MAP = PROJECT / "docs" / "examples" / "x-education-map.yaml"
STARTED = datetime(2026, 3, 1, 9, tzinfo=UTC)

needs_leads = pytest.mark.skipif(not FOLDER.is_dir(), reason="the x-education leads are not beside the project")

WRITTEN_BY_SALES = (
    *("Tags", "Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity"),
    *("Asymmetrique Activity Index", "Asymmetrique Profile Index"),
    *("Asymmetrique Activity Score", "Asymmetrique Profile Score"),
)


@cache
def read(name: str) -> tuple[Row | Unreadable, ...]:
    with (FOLDER / name).open("rb") as file:
        return tuple(rows(file, examine(file)))


def mapper_of(name: str) -> RowMapper:
    with (FOLDER / name).open("rb") as file:
        return bind(read_map(MAP.read_text()), examine(file).columns, started=STARTED)


@cache
def imported(name: str) -> tuple[ImportedRow, ...]:
    mapper = mapper_of(name)
    found = [mapper.row(row) for row in read(name)]
    assert all(isinstance(row, ImportedRow) for row in found)
    return tuple(row for row in found if isinstance(row, ImportedRow))


@needs_leads
def test_all_rows_are_read_cell_by_cell() -> None:
    with (FOLDER / "leads.csv").open(newline="") as file:
        expected = [tuple(row) for row in csv.reader(file)][1:]
    found = read("leads.csv")
    assert len(expected) == 6992
    assert [row.cells for row in found if isinstance(row, Row)] == expected
    assert {row.repaired for row in found if isinstance(row, Row)} == {""}


@needs_leads
def test_every_line_that_was_quoted_whole_is_mended_and_no_column_is_lost() -> None:
    whole, broken = read("leads.csv"), read("leads.broken-quoting.csv")
    assert [row.cells for row in broken if isinstance(row, Row)] == [r.cells for r in whole if isinstance(r, Row)]
    notes = Counter(row.repaired for row in broken if isinstance(row, Row))
    quoted = (FOLDER / "leads.broken-quoting.csv").read_text().count('\n"')
    assert notes == {"": 6992 - quoted, "the whole line was quoted as one value": quoted}
    assert quoted == 262


@needs_leads
def test_every_row_is_a_lead_of_its_own_and_its_columns_are_all_used_or_left_out_by_name() -> None:
    found = imported("leads.csv")
    assert len(found) == len({row.submission["email"] for row in found}) == len({row.row_key for row in found}) == 6992
    assert mapper_of("leads.csv").unmapped == ()


@needs_leads
def test_the_broken_file_gives_the_same_leads() -> None:
    whole, broken = imported("leads.csv"), imported("leads.broken-quoting.csv")
    assert [(row.submission, row.activities, row.row_key) for row in whole] == [
        (row.submission, row.activities, row.row_key) for row in broken
    ]


@needs_leads
def test_the_leads_say_what_the_file_says() -> None:
    with (FOLDER / "leads.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = imported("leads.csv")
    facts = Counter(str(activity["type"]) for row in found for activity in row.activities)
    assert facts["purchase"] == sum(row["Converted"] == "1" for row in table) == 2662
    assert facts["asset_downloaded"] == sum(row["A free copy of Mastering The Interview"] == "Yes" for row in table)
    assert facts["page_viewed"] == sum(min(10, int(row["TotalVisits"] or 0)) for row in table)
    refused = sum("'marketing': {'granted': False" in str(row.submission["consent"]) for row in found)
    assert refused == sum(row["Do Not Email"] == "Yes" for row in table) == 564
    assert not any("Select" in str(row.submission) or "'google'" in str(row.submission) for row in found)


@needs_leads
def test_every_lead_is_what_a_post_takes() -> None:
    for row in imported("leads.csv"):
        body = read_lead(json.dumps(row.submission).encode())
        taken = understand(body, Context(submission_id=UUID(int=1), now=STARTED, trusted=True))
        assert taken.email == row.submission["email"]
        assert taken.answers == row.submission["fields"]
        assert taken.activity.at == STARTED
        assert len(msgspec.convert(list(row.activities), list[ActivityBody])) == len(row.activities)


def test_the_map_of_the_example_leaves_out_what_tells_how_the_sale_ended() -> None:
    plan = read_map(MAP.read_text())
    used = {column for where, column in plan.mentions if where != "leave_out"}
    assert plan.leave_out.issuperset(WRITTEN_BY_SALES)
    assert used.isdisjoint(WRITTEN_BY_SALES)
