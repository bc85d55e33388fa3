"""How a file of rows is written: its encoding, its separator, and the names of its columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from services.capture.importing.encoding import Encoding, NotATable, encoding_of, scan
from services.capture.importing.error_file import OUR_COLUMNS, RAW, as_it_was
from services.capture.importing.lines import Place, lines
from services.capture.importing.repair import DELIMITERS, split

_SAMPLE_LINES = 200
_SAMPLE_BYTES = 2 * 1024 * 1024
_WIDEST = 4096
_SPOKEN = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be known of a file before its first row is read."""

    encoding: Encoding
    delimiter: str
    skip_space: bool
    """Values are quoted after a space: `1, "a, b"`."""
    columns: tuple[str, ...]
    """Names of the columns, each once and none empty, without those that we add to error files."""
    width: int
    """Cells of a row in the file."""
    positions: tuple[int, ...]
    """Where in a row of the file the columns are."""
    raw_position: int | None
    """Where an error file keeps a line that could not be split; None when the file has no such column."""
    mended: bool
    """The file is one of our error files."""
    first_row: Place
    size: int
    """Bytes, for the progress of an import."""
    fingerprint: str
    """SHA-256 of the bytes: whether an import that goes on does so in the same file."""
    warnings: tuple[str, ...]


class _Sampled(NamedTuple):
    text: str
    end: Place


class _Header(NamedTuple):
    delimiter: str
    cells: list[str]
    end: Place
    wrapped: bool = False


def examine(file: BinaryIO, *, encoding: str | None = None, delimiter: str | None = None) -> Layout:
    """Reads the file once for its encoding, then its beginning. `encoding` and `delimiter` override what is found.

    `file` is open for reading bytes and seekable. Raises `NotATable`, with what to do about it.
    """
    scanned = scan(file)
    found = encoding_of(file, scanned, encoding)
    sample = _sample(file, found)
    announced = _announced(sample)
    header = _header(sample[1:] if announced else sample, _told(delimiter) or announced)
    names, warnings = _named(header.cells)
    ours = {name: position for position, name in enumerate(names) if name in OUR_COLUMNS}
    positions = tuple(position for position, name in enumerate(names) if name not in OUR_COLUMNS)
    return Layout(
        encoding=found,
        delimiter=header.delimiter,
        skip_space=any(f'{header.delimiter} "' in line.text for line in sample) and not header.wrapped,
        columns=tuple(as_it_was(names[position]) if ours else names[position] for position in positions),
        width=len(names),
        positions=positions,
        raw_position=ours.get(RAW),
        mended=bool(ours),
        first_row=header.end,
        size=scanned.size,
        fingerprint=scanned.fingerprint,
        warnings=(*warnings, *filter(None, [found.doubt])),
    )


def _sample(file: BinaryIO, encoding: Encoding) -> list[_Sampled]:
    """The first lines, from the first that is not blank on."""
    sample, size = list[_Sampled](), 0
    for line in lines(file, encoding.line_break, Place(encoding.starts_at, 1)):
        text = line.raw.decode(encoding.name, "replace").replace("\0", "")
        if sample or text.strip():
            sample.append(_Sampled(text, line.end))
        size += len(line.raw)
        if len(sample) == _SAMPLE_LINES or size > _SAMPLE_BYTES:
            break
    if not sample:
        raise NotATable("The file is empty: its first line must name the columns.")
    return sample


def _told(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    sign = _SPOKEN.get(delimiter.lower(), delimiter)
    if len(sign) != 1 or sign in '"\r\n\0 ':
        raise NotATable(f"{delimiter!r} is no separator: give one sign, or a word of {', '.join(_SPOKEN)}.")
    return sign


def _announced(sample: Sequence[_Sampled]) -> str | None:
    """Excel writes `sep=;` as the first line of files meant for other countries' Excel."""
    first = sample[0].text.rstrip("\r\n").strip('"')
    return first[4] if len(first) == 5 and first[:4].lower() == "sep=" and len(sample) > 1 else None


def _header(sample: Sequence[_Sampled], told: str | None) -> _Header:
    if wrapped := _wrapped(sample[0], told):
        return wrapped
    texts = [line.text for line in sample]
    delimiter = told or _likeliest(texts)
    reader = csv.reader(texts, delimiter=delimiter, skipinitialspace=True)
    try:
        cells = next(reader)
    except csv.Error as why:
        raise NotATable(f"The names of the columns cannot be read: {why}.") from None
    if len(cells) > _WIDEST:
        raise NotATable(f"The first line has {len(cells):,} cells; at most {_WIDEST:,} columns are read.")
    return _Header(delimiter, cells, sample[reader.line_num - 1].end)


def _wrapped(first: _Sampled, told: str | None) -> _Header | None:
    """A header that was quoted whole: `"Name,Phone,City"`. Two cells could be one name with a comma in it."""
    outer = split(first.text, told or ",")
    if outer is None or len(outer) != 1 or not first.text.startswith('"'):
        return None
    readings = [(sign, split(outer[0], sign) or []) for sign in ([told] if told else DELIMITERS)]
    sign, cells = max(readings, key=lambda reading: len(reading[1]))
    return _Header(sign, cells, first.end, wrapped=True) if len(cells) >= 3 else None


def _likeliest(texts: Sequence[str]) -> str:
    """The sign that cuts most lines into as many cells as the first, the more cells the better."""
    weights = {sign: _weight(texts, sign) for sign in DELIMITERS}
    best = max(DELIMITERS, key=lambda sign: weights[sign])
    return best if weights[best] > 0 else ","


def _weight(texts: Sequence[str], sign: str) -> float:
    try:
        widths = [len(cells) for cells in csv.reader(texts, delimiter=sign, skipinitialspace=True) if cells]
    except csv.Error:
        return 0.0
    return (widths[0] - 1) * widths.count(widths[0]) / len(widths)


def _named(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """A name for each column, and what was odd about those in the file."""
    names, warnings = list[str](), list[str]()
    for number, cell in enumerate(cells, start=1):
        wanted = " ".join(cell.split())
        name = _free(wanted or f"column {number}", names)
        if not wanted:
            warnings.append(f"column {number} has no name in the file and is called {name!r}")
        elif name != wanted:
            warnings.append(f"more than one column is named {wanted!r}; column {number} is called {name!r}")
        names.append(name)
    if any("@" in name for name in names):
        warnings.append("the first line looks like a row of data; it is taken for the names of the columns")
    if all(name in OUR_COLUMNS for name in names):
        raise NotATable("The file has no columns of its own.")
    return names, warnings


def _free(wanted: str, taken: Sequence[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted} ({count})"
    return name
