"""Files of rows as they come: any encoding, separator and quoting, broken in the ways that real exports are."""

from __future__ import annotations

import csv
import io
import itertools
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.capture.importing import lines as lines_module
from services.capture.importing.encoding import NotATable
from services.capture.importing.layout import Layout, examine
from services.capture.importing.lines import LONGEST_LINE
from services.capture.importing.reading import Row, Unreadable, rows


def layout_of(text: str | bytes, **told: str) -> Layout:
    return examine(io.BytesIO(text.encode() if isinstance(text, str) else text), **told)


def read(text: str | bytes, **told: str) -> list[Row | Unreadable]:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return list(rows(file, examine(file, **told)))


def cells(text: str | bytes, **told: str) -> list[tuple[str, ...]]:
    found = read(text, **told)
    assert all(isinstance(row, Row) for row in found), found
    return [row.cells for row in found if isinstance(row, Row)]


def only(text: str) -> Row | Unreadable:
    [row] = read(text)
    return row


def repaired(text: str) -> tuple[tuple[str, ...], str]:
    row = only(text)
    assert isinstance(row, Row), row
    return row.cells, row.repaired


def refused(text: str) -> str:
    row = only(text)
    assert isinstance(row, Unreadable), row
    return row.reason


# --- encodings ---------------------------------------------------------------------------------------------------

EUROPE = "name;city\nJürgen Müller;Köln\nRené François;Besançon\nSørensen Åse;Tromsø\nMuñoz;São Paulo\n"
RUSSIA = "имя;город\nИванов Сергей;Москва\nПетрова Анна;Казань\n"
JAPAN = "名前,都市\n山田太郎,東京\n鈴木花子,大阪\n佐藤一郎,名古屋\n"
CHINA = "姓名,城市\n张伟,北京\n王芳,上海\n李娜,广州\n"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (EUROPE, "utf-8"),
        (EUROPE, "utf-8-sig"),
        (EUROPE, "cp1252"),
        (EUROPE, "utf-16"),
        (EUROPE, "utf-16-le"),
        (EUROPE, "utf-16-be"),
        (EUROPE, "utf-32"),
        (RUSSIA, "cp1251"),
        (RUSSIA, "koi8-r"),
        (RUSSIA, "utf-16-le"),
        (JAPAN, "cp932"),
        (JAPAN, "utf-16"),
        (CHINA, "gb18030"),
    ],
)
def test_every_usual_encoding_is_found_and_every_letter_kept(text: str, codec: str) -> None:
    header, *expected = [tuple(line.replace(";", ",").split(",")) for line in text.splitlines()]
    assert layout_of(text.encode(codec)).columns == header
    assert cells(text.encode(codec)) == expected


def test_the_encoding_can_be_told_when_the_guess_is_wrong() -> None:
    text = "name\nЁ\n".encode("koi8-r")
    assert cells(text, encoding="koi8-r") == [("Ё",)]
    assert cells("name\nÅ\n".encode("utf-16-be"), encoding="utf-16-be") == [("Å",)]


def test_a_guess_from_few_letters_is_said_to_be_one() -> None:
    assert "guess from very few letters" in " ".join(layout_of("name\nMüller\n".encode("cp1252")).warnings)
    assert layout_of(EUROPE).warnings == ()


@pytest.mark.parametrize("told", ["klingon", "base64", "cp037"])
def test_an_encoding_that_does_not_exist_or_cannot_be_read_is_refused(told: str) -> None:
    with pytest.raises(NotATable, match=told):
        layout_of("name\n", encoding=told)


def test_a_line_in_another_encoding_than_the_file_is_read_and_marked() -> None:
    text = "name,city\nMüller,Köln\nRené,Nîmes\n".encode() + "Åse,Tromsø\n".encode("cp1252") + "Ö,Ä\n".encode()
    found = [row for row in read(text) if isinstance(row, Row)]
    assert [row.cells for row in found] == [("Müller", "Köln"), ("René", "Nîmes"), ("Åse", "Tromsø"), ("Ö", "Ä")]
    assert [row.repaired for row in found] == ["", "", "it is not utf-8 and was read as cp1252", ""]


def test_bytes_that_are_letters_in_no_encoding_are_refused_and_shown() -> None:
    row, after = read(b"name,city\n\x81\xff\xfe,x\nAnna,y\n", encoding="utf-8")
    assert isinstance(row, Unreadable)
    assert row.reason == "it has bytes that are no letters in utf-8"
    assert row.raw == "\\x81\\xff\\xfe,x"
    assert isinstance(after, Row)


@pytest.mark.parametrize(
    ("start", "advice"),
    [
        (b"PK\x03\x04\x14\x00", "save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save the sheet as CSV"),
        (b"\x1f\x8b\x08", "unpack it"),
        (b"%PDF-1.7", "PDF document"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(start: bytes, advice: str) -> None:
    with pytest.raises(NotATable, match=advice):
        layout_of(start + bytes(100))


@pytest.mark.parametrize("text", [b"", b"\n\n  \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(text: bytes) -> None:
    with pytest.raises(NotATable, match="empty"):
        layout_of(text)


# --- separators and headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_cuts_most_lines_alike(sign: str) -> None:
    text = sign.join(("name", "amount", "note")) + "\n" + sign.join(("Anna", "1", '"a,b;c|d\te"')) + "\n"
    assert layout_of(text).delimiter == sign
    assert cells(text) == [("Anna", "1", "a,b;c|d\te")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_every_line_ending_ends_a_line(ending: str, codec: str) -> None:
    text = ending.join(["name,note", 'Anna,"two', 'lines"', "Bert,x"])
    found = read(text.encode(codec))
    assert [row.cells for row in found if isinstance(row, Row)] == [("Anna", f"two{ending}lines"), ("Bert", "x")]
    assert [row.line for row in found] == [2, 4]


def test_the_separator_can_be_told_or_announced_by_the_file() -> None:
    assert cells("sep=;\nname;note\nAnna;a,b\n") == [("Anna", "a,b")]
    assert cells("a,b;c,d\n1,2;3,4\n", delimiter=";") == [("1,2", "3,4")]
    assert cells("a\tb\n1\t2\n", delimiter="tab") == [("1", "2")]
    with pytest.raises(NotATable, match="no separator"):
        layout_of("a,b\n", delimiter=", ")


def test_values_quoted_behind_a_space_are_still_quoted() -> None:
    assert cells('name, company\nAnna, "Ek, Berg & Co"\n') == [("Anna", "Ek, Berg & Co")]


def test_a_file_of_one_column_keeps_its_commas() -> None:
    assert cells('name\n"Ek, Anna"\nBert\n') == [("Ek, Anna",), ("Bert",)]


def test_columns_without_a_name_or_with_the_same_name_get_one_and_are_told() -> None:
    layout = layout_of("\ufeffPhone, Phone ,,Phone (2),First\u00a0  name\n1,2,3,4,5\n")
    assert layout.columns == ("Phone", "Phone (2)", "column 3", "Phone (2) (2)", "First name")
    assert len(layout.warnings) == 3


def test_a_first_line_of_data_is_remarked_on() -> None:
    assert any("looks like a row of data" in warning for warning in layout_of("Anna,anna@example.com\n").warnings)


def test_a_header_that_was_quoted_whole_is_unwrapped() -> None:
    text = '"name,city,note"\n"Anna,Köln,""a, b"""\nBert,Rom,c\n'
    assert layout_of(text).columns == ("name", "city", "note")
    assert cells(text) == [("Anna", "Köln", "a, b"), ("Bert", "Rom", "c")]


# --- rows that do not fit ----------------------------------------------------------------------------------------

THREE = "name,company,city\n"


def test_a_line_quoted_as_one_value_is_taken_apart() -> None:
    assert repaired(THREE + '"Anna,""Ek, Berg"",Köln"\n') == (
        ("Anna", "Ek, Berg", "Köln"),
        "the whole line was quoted as one value",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Anna,"the "best" company",Köln', ("Anna", 'the "best" company', "Köln")),
        ('Anna,"the \\"best\\"",Köln', ("Anna", 'the "best"', "Köln")),
        ('Anna,"says "yes"\nand "no" often",Köln', ("Anna", 'says "yes"\nand "no" often', "Köln")),
    ],
)
def test_quotes_that_were_not_doubled_are_read_as_letters(line: str, expected: tuple[str, ...]) -> None:
    assert repaired(THREE + line + "\n") == (expected, "quotes inside a quoted value were not doubled")


def test_a_quote_that_is_never_closed_costs_no_other_row() -> None:
    found = read(THREE + 'Anna,"Ek,Köln\n' + "Bert,b,Rom\n" * 3 + 'Cora,"c, d",Oslo\n')
    assert [row.cells for row in found if isinstance(row, Row)] == [
        ("Anna", '"Ek', "Köln"),
        *[("Bert", "b", "Rom")] * 3,
        ("Cora", "c, d", "Oslo"),
    ]
    assert [row.line for row in found] == [2, 3, 4, 5, 6]


def test_a_quote_that_is_never_closed_in_a_row_that_does_not_fit_is_refused_alone() -> None:
    found = read(THREE + 'Anna,"Ek\n' + "Bert,b,Rom\n" * 20_000)
    assert found[0].line == 2
    assert isinstance(found[0], Unreadable)
    assert found[0].reason == "a quote is opened and never closed"
    assert found[0].raw == 'Anna,"Ek'
    assert len(found) == 20_001
    assert all(isinstance(row, Row) for row in found[1:])


def test_the_end_of_a_torn_row_is_not_taken_for_a_row() -> None:
    found = read(THREE + 'Anna,"the "best"\nones",Rom,x\nBert,b,Oslo\nCora,5" pipe,Ås\n')
    assert [type(row) for row in found] == [Unreadable, Unreadable, Row, Row]
    assert isinstance(found[1], Unreadable)
    assert found[1].reason == "it seems to be the end of line 2, which was refused"


def test_a_row_torn_by_a_quote_is_refused_whole() -> None:
    reason = refused(THREE + 'Anna,"Ek\nBert,b",Rom,x\n')
    assert reason == "lines 2 to 3 are one row by their quotes, which has 4 cells, the header has 3"


def test_a_row_of_too_many_cells_is_refused_unless_they_are_empty() -> None:
    assert refused(THREE + "Anna,Ek, Berg,Köln\n").startswith("it has 4 cells, the header has 3")
    assert repaired(THREE + "Anna,Ek,Köln,, ,\n") == (
        ("Anna", "Ek", "Köln"),
        "empty cells after the last column were left out",
    )


def test_a_row_that_stops_early_is_filled_with_nothing_unless_it_may_be_a_remark_or_was_cut_off() -> None:
    assert repaired(THREE + "Anna,Ek\n") == (("Anna", "Ek", ""), "cells missing at the end were read as empty")
    assert refused(THREE + "1 row\n") == "it has 1 cell, the header has 3"
    assert refused(THREE + "Anna,Ek") == "the file ends within this row: it has 2 cells, the header has 3"


def test_a_line_with_another_separator_is_read_by_it() -> None:
    assert repaired(THREE + "Anna;Ek;Köln\n") == (
        ("Anna", "Ek", "Köln"),
        "another separator is used than in the other lines",
    )


def test_nul_signs_are_left_out_and_told() -> None:
    assert repaired(THREE + "An\0na,Ek,Köln\0\n") == (("Anna", "Ek", "Köln"), "NUL signs were left out")


def test_blank_lines_and_rows_are_no_rows() -> None:
    assert cells("\n\n" + THREE + "\n,,\n  , ,\nAnna,Ek,Köln\n\n") == [("Anna", "Ek", "Köln")]


def test_a_lone_carriage_return_within_a_row_is_kept() -> None:
    [row] = read(THREE + "Anna,Ek\rBerg,Köln\n")
    assert isinstance(row, Row)
    assert row.cells == ("Anna", "Ek\rBerg", "Köln")


def test_a_value_longer_than_any_answer_is_refused_and_the_next_row_read() -> None:
    long, after = read(THREE + f'Anna,"{"x" * 200_000}",Köln\nBert,b,Rom\n')
    assert isinstance(long, Row | Unreadable)
    assert isinstance(after, Row)
    assert after.cells == ("Bert", "b", "Rom")


# --- large files, and going on -----------------------------------------------------------------------------------


class _Endless(io.RawIOBase):
    """A file of `size` bytes that repeats one line and is never held in memory."""

    def __init__(self, head: bytes, line: bytes, size: int) -> None:
        self._head, self._line, self._size, self._at = head, line, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == 0
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        end = min(self._size, self._at + size)
        start, self._at = self._at, end
        if start >= end:
            return b""
        body = start - len(self._head)
        if body < 0:
            return (self._head + self._line * (size // len(self._line) + 1))[start:end]
        shift = body % len(self._line)
        return (self._line * ((end - start + shift) // len(self._line) + 1))[shift : shift + end - start]


def _peak(file: _Endless) -> tuple[int, int]:
    """(rows and refusals, peak of memory in bytes)"""
    tracemalloc.start()
    try:
        layout = examine(file)  # type: ignore[arg-type]
        count = sum(1 for _ in rows(file, layout))  # type: ignore[arg-type]
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat_over_a_file_of_any_length() -> None:
    line = b"anna@example.com," + b"x" * 983
    small = _peak(_Endless(b"a,b\n", line[:-1] + b"\n", 4 * 1024**2))
    large = _peak(_Endless(b"a,b\n", line[:-1] + b"\n", 32 * 1024**2))
    assert large[0] > 7 * small[0]
    assert large[1] < small[1] * 1.5


def test_a_line_without_end_is_refused_without_being_held() -> None:
    count, peak = _peak(_Endless(b"a,b\n", b"x" * 1000, 64 * 1024**2))
    assert count == 1
    assert peak < 6 * LONGEST_LINE


def test_a_line_that_is_too_long_costs_no_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LONGEST_LINE", 100_000)
    monkeypatch.setattr(lines_module, "PIECE", 4096)
    for codec in ("utf-8", "utf-16"):
        before, long, after = read((THREE + "Anna,a,Köln\n" + "x" * 150_000 + "\nBert,b,Rom\n").encode(codec))
        assert isinstance(before, Row)
        assert isinstance(long, Unreadable)
        assert "longer than" in long.reason
        assert isinstance(after, Row)
        assert after.cells == ("Bert", "b", "Rom")
        assert after.line == 4


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_reading_goes_on_at_the_byte_where_a_row_ended(codec: str, ending: str) -> None:
    table = [
        "name,company,city",
        "Anna,Ek,Köln",
        'Åse,"two',
        'lines",Rom',
        "",
        'Cora,"c,Oslo',
        "Dan,d",
        "Eva,e,Ås",
        "x",
    ]
    file = io.BytesIO(ending.join(table).encode(codec))
    layout = examine(file)
    whole = list(rows(file, layout))
    assert len(whole) == 6
    for index, row in enumerate(whole):
        assert list(rows(file, layout, row.end)) == whole[index + 1 :]
        assert list(rows(file, layout, row.place)) == whole[index:]


# --- any table whatever ------------------------------------------------------------------------------------------

_cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(deadline=None)
@given(
    table=st.integers(2, 5).flatmap(lambda width: st.lists(st.tuples(*[_cell] * width), min_size=1, max_size=6)),
    sign=st.sampled_from([",", ";", "\t", "|"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_read_back_cell_by_cell(
    table: list[tuple[str, ...]], sign: str, codec: str, ending: str
) -> None:
    names = [f"column {number}" for number in range(1, len(table[0]) + 1)]
    found = read(_written([names, *table], sign, ending).encode(codec), delimiter=sign)
    expected = [row for row in table if any(cell and not cell.isspace() for cell in row)]
    assert [row.cells if isinstance(row, Row) else row for row in found] == expected
    assert all(isinstance(row, Row) and not row.repaired for row in found)


@settings(deadline=None)
@given(st.text(st.sampled_from('abcdé",; \\\r\n'), max_size=120), st.sampled_from([1, 2, 3]))
def test_however_a_file_is_broken_no_letter_of_it_is_lost(noise: str, width: int) -> None:
    text = ",".join(["one", "two", "three"][:width]) + "\n" + noise
    found = read(text, encoding="utf-8", delimiter=",")
    told = "".join("".join(row.cells) if isinstance(row, Row) else row.raw for row in found)
    assert _letters(told) == _letters(noise)
    assert all(len(row.cells) == width for row in found if isinstance(row, Row))
    for before, after in itertools.pairwise(found):
        assert before.place < before.end <= after.place


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalpha())


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_are_refused_with_a_reason(noise: bytes) -> None:
    try:
        found = read(noise)
    except NotATable:
        found = []
    assert all(row.cells if isinstance(row, Row) else row.reason for row in found)


def _written(table: Sequence[Sequence[str]], sign: str, ending: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=sign, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(table)
    return out.getvalue()
