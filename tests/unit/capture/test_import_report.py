"""What is said of an import: its counts, and the rows that were not taken, to be mended and imported again."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.capture.importing.error_file import ErrorFile, as_it_was, harmless
from services.capture.importing.layout import examine
from services.capture.importing.map_file import read_map
from services.capture.importing.mapping import BadRow, ImportedRow, bind
from services.capture.importing.reading import rows
from services.capture.importing.report import Report

CORPORA = Path(os.environ.get("LEADLINE_SHARED", Path(__file__).parents[4] / "shared")) / "data" / "bad-input"
STARTED = datetime(2026, 3, 1, 9, tzinfo=UTC)
MAP = read_map('site: demo\nlead: {email: "{Mail}", name: "{Name}"}\nfields: {note: "{Note}"}\n')


def imported(text: bytes) -> tuple[list[ImportedRow | BadRow], tuple[str, ...]]:
    file = io.BytesIO(text)
    layout = examine(file)
    mapper = bind(MAP, layout.columns, started=STARTED)
    return [mapper.row(row) for row in rows(file, layout)], layout.columns


def error_file(bad: list[BadRow], columns: tuple[str, ...]) -> str:
    stream = io.StringIO(newline="")
    errors = ErrorFile(stream, columns)
    for row in bad:
        errors.add(row.line, row.cells, row.raw, row.problems)
    return stream.getvalue()


def bad_rows(found: list[ImportedRow | BadRow]) -> list[BadRow]:
    return [row for row in found if isinstance(row, BadRow)]


@settings(deadline=None)
@given(st.text(max_size=20) | st.text(st.sampled_from("'=+-@＝\t\r\n x"), max_size=6))
def test_a_cell_made_harmless_comes_back_as_it_was(cell: str) -> None:
    shown = harmless(cell)
    assert as_it_was(shown) == cell
    assert shown.lstrip(" \n")[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_no_cell_of_an_error_file_can_be_run_by_a_spreadsheet() -> None:
    text = b'Mail,Name,"=1+1"\n=cmd|calc,+1,-1\n@SUM(A1),"\t=1"," =1+1"\n'
    bound = read_map('site: demo\nlead: {email: "{Mail}"}\n')
    file = io.BytesIO(text)
    layout = examine(file)
    mapper = bind(bound, layout.columns, started=STARTED)
    bad = bad_rows([mapper.row(row) for row in rows(file, layout)])
    shown = list(csv.reader(io.StringIO(error_file(bad, layout.columns), newline="")))
    assert shown[0] == ["Mail", "Name", "'=1+1", "leadline_line", "leadline_problem", "leadline_raw"]
    assert [row[:3] for row in shown[1:]] == [["'=cmd|calc", "'+1", "'-1"], ["'@SUM(A1)", "'\t=1", "' =1+1"]]


def test_an_error_file_names_the_line_and_what_is_wrong() -> None:
    found, columns = imported(b"Mail,Name,Note\nanna,Anna,\n,Bert,x\na@example.com,Ok,\nx\n")
    shown = list(csv.DictReader(io.StringIO(error_file(bad_rows(found), columns), newline="")))
    assert [(row["leadline_line"], row["leadline_problem"], row["leadline_raw"]) for row in shown] == [
        ("2", "email: there is no @ in it", ""),
        ("3", "contact: it has neither an e-mail address nor a telephone number", ""),
        ("5", "it has 1 cell, the header has 3", "x"),
    ]


def test_an_error_file_that_nobody_mended_says_the_same_again() -> None:
    found, columns = imported(b'Mail,Name,Note\n=anna,"An\nna",\'=x\nx\nbert,Bert,"a ""b"" c"\n')
    once = bad_rows(found)
    again, same_columns = imported(error_file(once, columns).encode("utf-8-sig"))
    assert same_columns == columns
    twice = bad_rows(again)
    assert [(row.cells, row.raw) for row in twice] == [(row.cells, row.raw) for row in once]
    assert [row.problems for row in twice if row.cells] == [row.problems for row in once if row.cells]


def test_a_mended_error_file_gives_the_rows_that_the_file_would_have_given() -> None:
    found, columns = imported(b'Mail;Name;Note\nanna#example.com;Anna;=1\n"bert@example.com";Bert;c;d\n')
    text = error_file(bad_rows(found), columns).replace("#", "@").replace(";c;d", ";c d")
    mended, _ = imported(text.encode("utf-8-sig"))
    straight, _ = imported(b"Mail;Name;Note\nanna@example.com;Anna;=1\nbert@example.com;Bert;c d\n")
    assert [row.submission for row in mended if isinstance(row, ImportedRow)] == [
        row.submission for row in straight if isinstance(row, ImportedRow)
    ]
    assert [row.row_key for row in mended if isinstance(row, ImportedRow)] == [
        row.row_key for row in straight if isinstance(row, ImportedRow)
    ]
    assert len(mended) == 2


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of bad input are not beside the project")
def test_naughty_strings_go_through_a_file_and_an_error_file_unchanged() -> None:
    naughty = [text for text in json.loads((CORPORA / "blns.json").read_text()) if text.strip() and "\0" not in text]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["Mail", "Name", "Note"], *[["", "x", text] for text in naughty]])
    found, columns = imported(out.getvalue().encode())
    bad = bad_rows(found)
    assert [row.cells[2] for row in bad] == naughty
    again, _ = imported(error_file(bad, columns).encode("utf-8-sig"))
    assert [row.cells for row in bad_rows(again)] == [row.cells for row in bad]


def test_the_report_counts_every_row_once_and_every_reason() -> None:
    found, _ = imported(b"Mail,Name,Note\na@example.com,A,\nb@example.com,B\nb@example.com,B\nx,,\n,y,\n")
    taken = [row for row in found if isinstance(row, ImportedRow)]
    report = Report()
    report.add_new(taken[0])
    report.add_new(taken[1])
    report.add_merged(taken[2], "same e-mail address")
    report.add_repeated()
    for row in bad_rows(found):
        report.add_quarantined(row)
    report.add_quarantined(taken[0].refused("email", "the site takes no such addresses"))
    assert (report.rows, report.new, report.merged, report.repeated, report.quarantined) == (7, 2, 1, 1, 3)
    assert report.repaired_because == {"cells missing at the end were read as empty": 2}
    assert report.activities == 3
    assert report.quarantined_because["email: there is no @ in it"] == 1
    assert report.quarantined_because["email: the site takes no such addresses"] == 1
    said = "\n".join(report.in_words())
    assert "2 new leads (28.6%)" in said
    assert "1 same e-mail address" in said
    assert "7 rows" in said


def test_a_report_is_kept_and_read_back_while_an_import_runs() -> None:
    found, _ = imported(b"Mail,Name,Note\na@example.com,A\nx,,\n")
    report = Report()
    for row in found:
        report.add_new(row) if isinstance(row, ImportedRow) else report.add_quarantined(row)
    assert Report.from_json(report.as_json()) == report


def test_a_report_of_an_import_that_went_on_says_what_was_done_before() -> None:
    report = Report(new=4_000, merged=1_000, quarantined=20)
    assert "stopped" not in "\n".join(report.in_words())
    report.done_before = 3_250
    assert "    3,250 of them before the import was stopped, 1,770 now" in report.in_words()


def test_a_file_with_a_thousand_kinds_of_mistake_does_not_make_a_report_of_a_thousand_lines() -> None:
    report = Report()
    [bad], _ = imported(b"Mail,Name,Note\nx,,\n")
    assert isinstance(bad, BadRow)
    for number in range(1000):
        report.add_quarantined(BadRow(2, bad.cells, "", (("email", f"mistake {number}"),), bad.end))
    assert len(report.quarantined_because) == 101
    assert report.quarantined_because["other reasons"] == 900
    assert sum(report.quarantined_because.values()) == report.quarantined == 1000
