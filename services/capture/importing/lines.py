"""The physical lines of a file of any size and encoding, each with the byte at which it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

PIECE = 256 * 1024

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes. Of a longer line only the beginning is kept, so that a file without line breaks fills no memory."""

_KEPT_OF_A_LONG_LINE = 4096


class Place(NamedTuple):
    """Where a line starts: its first byte, counted from 0, and its number, counted from 1 as text editors do."""

    offset: int
    line: int


class Line(NamedTuple):
    place: Place
    end: Place
    raw: bytes
    too_long: bool


class LineBreak(NamedTuple):
    """What ends a line: one code unit, `unit` bytes wide and aligned to its width (2 in UTF-16)."""

    mark: bytes
    unit: int


def lines(file: BinaryIO, line_break: LineBreak, start: Place) -> Iterator[Line]:
    """The lines from `start` on, with their line breaks. `file` must be seekable, `start` the start of a line."""
    file.seek(start.offset)
    place, held, skipped, head = start, b"", 0, b""
    while piece := file.read(PIECE):
        begin, look = 0, _whole_units(held, line_break)
        held += piece
        while end := _after_break(held, line_break, look):
            after = Place(place.offset + skipped + end - begin, place.line + 1)
            yield Line(place, after, head or held[begin:end], bool(skipped))
            place, begin, look, skipped, head = after, end, end, 0, b""
        held = held[begin:]
        if len(held) > LONGEST_LINE:
            head = head or held[:_KEPT_OF_A_LONG_LINE]
            cut = _whole_units(held, line_break)
            held, skipped = held[cut:], skipped + cut
    if held or skipped:
        after = Place(place.offset + skipped + len(held), place.line + 1)
        yield Line(place, after, head or held, bool(skipped))


def _whole_units(held: bytes, line_break: LineBreak) -> int:
    return len(held) - len(held) % line_break.unit


def _after_break(held: bytes, line_break: LineBreak, look: int) -> int:
    """The position behind the next line break, or 0."""
    found = held.find(line_break.mark, look)
    # In UTF-16 the bytes 0A 00 also occur across two letters.
    while found >= 0 and found % line_break.unit:
        found = held.find(line_break.mark, found + 1)
    return found + line_break.unit if found >= 0 else 0
