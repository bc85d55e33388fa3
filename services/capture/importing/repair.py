"""What a line that does not fit the header was meant to be, where that can be told.

A reading is taken only when it gives exactly as many cells as the header has. Everything else is left to a person.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

DELIMITERS = ("\t", ";", "|", ",")
"""From the rarest in ordinary text to the commonest."""

_UNDOUBLED = "quotes inside a quoted value were not doubled"


class Repaired(NamedTuple):
    cells: list[str]
    note: str
    lines: int = 1


def split(text: str, delimiter: str, skip_space: bool = False) -> list[str] | None:
    """The cells of one record by the rules of RFC 4180; None when its quotes do not match or it is several records."""
    try:
        records = list(csv.reader([text], delimiter=delimiter, skipinitialspace=skip_space, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def mend(texts: Sequence[str], width: int, delimiter: str) -> Repaired | None:
    """The row that begins in the first text and may go on in the next ones; None when no reading gives `width` cells.

    A value with line breaks is tried before a stray quote is taken for a letter, as its first line alone often has
    the right number of separators by chance.
    """
    first = texts[0]
    if _fits(cells := _unwrapped(first, delimiter), width):
        return Repaired(cells, "the whole line was quoted as one value")
    if _fits(cells := split_loosely(first, delimiter), width):
        return Repaired(cells, _UNDOUBLED)
    if together := _torn(texts, width, delimiter):
        return together
    if '"' in first and _fits(cells := first.rstrip("\r\n").split(delimiter), width):
        return Repaired(cells, "a quote without its partner was read as a letter")
    if _fits(cells := _by_other_delimiter(first, width, delimiter), width):
        return Repaired(cells, "another separator is used than in the other lines")
    return None


def is_open(text: str, delimiter: str) -> bool:
    """A value is opened with a quote that this line does not close."""
    return split_loosely(text, delimiter) is None


def split_loosely(text: str, delimiter: str) -> list[str] | None:
    """Cells where a quote closes a value only before a separator or the end; None when the last one stays open.

    `1,"say "hi" now",x` gives `1`, `say "hi" now`, `x`.
    """
    line, cells, at = text.rstrip("\r\n"), list[str](), 0
    while True:
        if line.startswith('"', at):
            closed = _closing_quote(line, delimiter, at)
            if closed < 0:
                return None
            cells.append(line[at + 1 : closed].replace('""', '"').replace('\\"', '"'))
            at = closed + 1
        else:
            end = line.find(delimiter, at)
            cells.append(line[at:] if end < 0 else line[at:end])
            at = len(line) if end < 0 else end
        if at >= len(line):
            return cells
        at += len(delimiter)


def is_unbalanced(text: str) -> bool:
    """It has a quote without its partner, as the end of a value with line breaks has."""
    return text.count('"') % 2 == 1


def to_width(cells: Sequence[str], width: int, *, cut_off: bool) -> Repaired | str:
    """The cells made to fit by leaving out or adding empty ones at the end, or the reason why they are not.

    Spreadsheets stop a row after its last filled cell. A lone cell is more likely a remark; `cut_off` is true of a
    last line without a line break, which may be what is left of a longer one.
    """
    if len(cells) > width:
        if not any(cell.strip() for cell in cells[width:]):
            return Repaired(list(cells[:width]), "empty cells after the last column were left out")
        return f"it has {len(cells)} cells, the header has {width}: quote the value that has the separator in it"
    if cut_off:
        return f"the file ends within this row: it has {len(cells)} cells, the header has {width}"
    if len(cells) == 1:
        return f"it has 1 cell, the header has {width}"
    return Repaired([*cells, *[""] * (width - len(cells))], "cells missing at the end were read as empty")


def _torn(texts: Sequence[str], width: int, delimiter: str) -> Repaired | None:
    for count in range(2, len(texts) + 1):
        text = "".join(texts[:count])
        if len(text) > csv.field_size_limit():
            return None
        cells = split_loosely(text, delimiter)
        # A quote behind a separator opens a value: then the first quote was a stray one and this is another row.
        if _fits(cells, width) and not any(f'{delimiter}"' in cell and "\n" in cell for cell in cells):
            return Repaired(cells, _UNDOUBLED, count)
    return None


def _fits(cells: list[str] | None, width: int) -> TypeGuard[list[str]]:
    return cells is not None and len(cells) == width


def _closing_quote(line: str, delimiter: str, opening: int) -> int:
    found = line.find(f'"{delimiter}', opening + 1)
    # In `"a "",b"` the doubled quote before the separator is a letter and does not close.
    while found > 0 and _quotes_before(line, found, opening) % 2:
        found = line.find(f'"{delimiter}', found + 1)
    if found > 0:
        return found
    return len(line) - 1 if len(line) - 1 > opening and line.endswith('"') else -1


def _quotes_before(line: str, position: int, opening: int) -> int:
    """Quotes directly before the position, without the opening one and one that a backslash makes a letter."""
    first = position
    while first - 1 > opening and line[first - 1] == '"':
        first -= 1
    quotes = position - first
    return quotes - 1 if quotes and first - 1 > opening and line[first - 1] == "\\" else quotes


def _unwrapped(text: str, delimiter: str) -> list[str] | None:
    cells = split(text, delimiter) if text.startswith('"') else None
    return split(cells[0], delimiter) if cells and len(cells) == 1 else None


def _by_other_delimiter(text: str, width: int, delimiter: str) -> list[str] | None:
    if width < 3:  # a single other sign in a line proves nothing
        return None
    readings = [split(text, other) for other in DELIMITERS if other != delimiter]
    fitting = [cells for cells in readings if _fits(cells, width)]
    return fitting[0] if len(fitting) == 1 else None
