"""The rows of a file, one after the other, each cut into the columns of its header, mended, or refused with a reason.

No line is passed over without a word, but for blank ones. Memory holds one record at a time, whatever the size of
the file, and every row tells where the next one starts, so that an import can go on there.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

from services.capture.importing.encoding import Encoding
from services.capture.importing.error_file import as_it_was
from services.capture.importing.layout import Layout
from services.capture.importing.lines import LONGEST_LINE, Line, Place, lines
from services.capture.importing.repair import Repaired, is_open, is_unbalanced, mend, to_width

_LINES_AHEAD = 50
"""A value whose line breaks tore its row is looked for over so many lines."""

_LONGEST_RAW = 100_000


class Row(NamedTuple):
    """A row that fits the header. `repaired` says what had to be done for it, an empty string when nothing."""

    line: int
    cells: tuple[str, ...]
    repaired: str
    place: Place
    end: Place


class Unreadable(NamedTuple):
    """Text that could not be made to fit the header, with the reason; whole, but for more than 100,000 letters."""

    line: int
    raw: str
    reason: str
    place: Place
    end: Place


def rows(file: BinaryIO, layout: Layout, start: Place | None = None) -> Iterator[Row | Unreadable]:
    """The rows from `start` on, which is the `end` of a row read before, or from the first row of the file."""
    feed = _Feed(lines(file, layout.encoding.line_break, start or layout.first_row), layout.encoding)
    records, torn = _records(feed, layout), 0
    while True:
        feed.pulled.clear()
        try:
            cells = next(records)
        except StopIteration:
            return
        except (csv.Error, _Faulty):
            found = _mended_from_first_line(feed, layout)
            records = _records(feed, layout)
            torn = found.line if isinstance(found, Unreadable) else torn
        else:
            found = _row(feed.pulled, cells) if len(cells) == layout.width else _mended(feed, layout, cells)
            if torn and _ends_torn_row(feed.pulled, torn):
                found = _unreadable(feed.pulled, f"it seems to be the end of line {torn}, which was refused")
                torn = 0
        if layout.mended and isinstance(found, Row):
            found = _as_first_found(found, layout)
        if isinstance(found, Unreadable) or any(cell and not cell.isspace() for cell in found.cells):
            yield found


class _Text(NamedTuple):
    line: Line
    text: str
    note: str
    fault: str


class _Faulty(Exception):
    """The line cannot be read as text."""


class _Feed:
    """Gives lines to the csv reader, remembers which ones it took for the present row, and takes lines back."""

    def __init__(self, source: Iterator[Line], encoding: Encoding) -> None:
        self._source = source
        self._encoding = encoding
        self._returned: deque[_Text] = deque()
        self.pulled: list[_Text] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        found = self._returned.popleft() if self._returned else _decoded(next(self._source), self._encoding)
        self.pulled.append(found)
        if found.fault:
            raise _Faulty
        return found.text

    def look_ahead(self, count: int) -> None:
        """Pulls lines until `count` are pulled, the file ends or a line is no text."""
        try:
            for _ in islice(self, count - len(self.pulled)):
                pass
        except _Faulty:
            pass

    def give_back_all_but(self, count: int) -> None:
        self._returned.extendleft(reversed(self.pulled[count:]))
        del self.pulled[count:]


def _records(feed: _Feed, layout: Layout) -> Iterator[list[str]]:
    return csv.reader(feed, delimiter=layout.delimiter, skipinitialspace=layout.skip_space, strict=True)


def _decoded(line: Line, encoding: Encoding) -> _Text:
    if line.too_long:
        raw = line.raw.decode(encoding.name, "backslashreplace")
        return _Text(line, raw, "", f"the line is longer than {LONGEST_LINE // 1024**2} MB")
    for codec in encoding.codecs:
        try:
            text = line.raw.decode(codec)
        except UnicodeDecodeError:
            continue
        note = f"it is not {encoding.name} and was read as {codec}" if _differs(line.raw, codec, encoding) else ""
        if "\0" in text:
            text, note = text.replace("\0", ""), _joined([note, "NUL signs were left out"])
        return _Text(line, text, note, "")
    raw = line.raw.decode(encoding.name, "backslashreplace")
    return _Text(line, raw, "", f"it has bytes that are no letters in {encoding.name}")


def _differs(raw: bytes, codec: str, encoding: Encoding) -> bool:
    return codec != encoding.name and not raw.isascii()


def _row(pulled: Sequence[_Text], cells: Sequence[str], note: str = "") -> Row:
    first, last = pulled[0].line, pulled[-1].line
    notes = _joined([*(text.note for text in pulled), note])
    return Row(first.place.line, tuple(cells), notes, first.place, last.end)


def _unreadable(pulled: Sequence[_Text], reason: str) -> Unreadable:
    first, last = pulled[0].line, pulled[-1].line
    raw = "".join(text.text for text in pulled).rstrip("\r\n")[:_LONGEST_RAW].replace("\0", "")
    return Unreadable(first.place.line, raw, reason, first.place, last.end)


def _ends_torn_row(pulled: Sequence[_Text], torn: int) -> bool:
    near_enough = pulled[0].line.place.line <= torn + _LINES_AHEAD
    return near_enough and len(pulled) == 1 and is_unbalanced(pulled[0].text)


def _mended(feed: _Feed, layout: Layout, cells: list[str]) -> Row | Unreadable:
    """`cells` is what the rules of CSV made of the pulled lines: another number than the header has."""
    pulled = feed.pulled
    if not cells:
        return _row(pulled, ())
    if len(pulled) > 1:
        lines_of = f"lines {pulled[0].line.place.line} to {pulled[-1].line.place.line} are one row by their quotes"
        return _unreadable(pulled, f"{lines_of}, which has {len(cells)} cells, the header has {layout.width}")
    if mended := mend([pulled[0].text], layout.width, layout.delimiter):
        return _row(pulled, mended.cells, mended.note)
    return _fitted(pulled, cells, layout)


def _fitted(pulled: Sequence[_Text], cells: Sequence[str], layout: Layout) -> Row | Unreadable:
    cut_off = not pulled[-1].text.endswith(("\n", "\r"))
    fitted = to_width(cells, layout.width, cut_off=cut_off)
    if isinstance(fitted, Repaired):
        return _row(pulled, fitted.cells, fitted.note)
    return _unreadable(pulled, fitted)


def _mended_from_first_line(feed: _Feed, layout: Layout) -> Row | Unreadable:
    """The quotes do not match. Only the first line is given up at most: the rows behind it must not go with it."""
    first = feed.pulled[0]
    if first.fault:
        feed.give_back_all_but(1)
        return _unreadable(feed.pulled, first.fault)
    feed.give_back_all_but(_LINES_AHEAD)
    feed.look_ahead(_LINES_AHEAD)
    texts = [text.text for text in feed.pulled if not text.fault]
    mended = mend(texts, layout.width, layout.delimiter)
    feed.give_back_all_but(mended.lines if mended else 1)
    if mended:
        return _row(feed.pulled, mended.cells, mended.note)
    opened = is_open(first.text, layout.delimiter)
    reason = "a quote is opened and never closed" if opened else "its quotes do not match"
    return _unreadable(feed.pulled, reason)


def _as_first_found(found: Row, layout: Layout) -> Row | Unreadable:
    """A row of an error file as it was in the file that it came from."""
    given = [as_it_was(cell) for cell in found.cells]
    cells = tuple(given[position] for position in layout.positions)
    raw = given[layout.raw_position] if layout.raw_position is not None else ""
    if any(cell.strip() for cell in cells) or not raw.strip():
        return found._replace(cells=cells)
    mended = mend([raw], len(cells), layout.delimiter)
    if mended is None:
        reason = f"what stands in the last column does not give {len(cells)} cells"
        return Unreadable(found.line, raw, reason, found.place, found.end)
    return found._replace(cells=tuple(mended.cells))


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))
