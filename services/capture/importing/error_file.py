"""The rows that were not taken, as a CSV file that can be mended in a spreadsheet and imported again.

It has the columns of the file it came from, then three of ours, which the next import does not take for data:
the line, what was wrong with it, and the line itself where it could not be told apart into columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import TextIO

LINE = "leadline_line"
PROBLEM = "leadline_problem"
RAW = "leadline_raw"
OUR_COLUMNS = (LINE, PROBLEM, RAW)

# A spreadsheet runs a cell that begins so as a formula (OWASP "CSV injection"), the full-width signs in some
# languages. Cells that already have apostrophes before such a sign get one more, so that taking one away is exact.
_FORMULA = re.compile(r"[\s']*[=+\-@＝＋－＠\t\r\n]")


def harmless(cell: str) -> str:
    """The cell as text that no spreadsheet runs: `=1+1` becomes `'=1+1`."""
    return "'" + cell if _FORMULA.match(cell) else cell


def as_it_was(cell: str) -> str:
    """Takes back what `harmless` did: `as_it_was(harmless(cell)) == cell` for every cell."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell, 1) else cell


class ErrorFile:
    """Writes rows as they come; open the stream with `newline=""` and the encoding `utf-8-sig`, which Excel needs."""

    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        self._writer.writerow([*map(harmless, self._columns), *OUR_COLUMNS])

    def add(self, line: int, cells: Sequence[str], raw: str, problems: Sequence[tuple[str, str]]) -> None:
        """`cells` in the order of the columns, or none and the raw line; `problems` are (field, why)."""
        said = "; ".join(f"{field}: {why}" if field else why for field, why in problems)
        shown = [*map(harmless, cells)] if cells else [""] * len(self._columns)
        self._writer.writerow([*shown, str(line), harmless(said), harmless(raw)])
