"""In which encoding a file is written: byte order mark, then UTF-8, then what charset-normalizer finds likely."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from services.capture.importing.lines import LineBreak
from shared.errors import Malformed

_PIECE = 1024 * 1024
_EVIDENCE = 64 * 1024  # bytes of lines that are not ASCII; more makes the guess slower, not better
_ENOUGH_LETTERS = 12

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# What spreadsheets and older systems write, in the order in which equally likely ones are preferred.
_ONE_BYTE = ("cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "cp1257", "cp1255", "cp1256", "cp1258", "cp874")
_ONE_BYTE_RARE = ("iso8859_2", "koi8_r", "mac_roman", "cp850", "cp437", "cp866")
_MANY_BYTES = ("cp932", "gb18030", "euc_kr", "big5", "euc_jp")
_CANDIDATES = (*_ONE_BYTE, *_ONE_BYTE_RARE, *_MANY_BYTES)

_OTHER_FILES = (
    (b"PK\x03\x04", "a spreadsheet or a zip archive: save the sheet as CSV, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file: save the sheet as CSV"),
    (b"\x1f\x8b", "packed with gzip: unpack it"),
    (b"BZh", "packed with bzip2: unpack it"),
    (b"%PDF", "a PDF document: a table in CSV is needed"),
    (b"SQLite format 3\0", "a SQLite database: export the table as CSV"),
)


class NotATable(Malformed):
    """The file cannot be read as a table of rows and named columns."""

    title = "Not a table"


@dataclass(frozen=True, slots=True)
class Encoding:
    """`codecs` are tried in this order on each line; a line read by another one than `name` is marked as repaired."""

    name: str
    codecs: tuple[str, ...]
    line_break: LineBreak
    starts_at: int
    """Byte behind the byte order mark."""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over the whole file told."""

    size: int
    fingerprint: str
    """SHA-256 of the bytes, in hex: the same file again, whatever its name."""
    utf8_lines: int
    other_lines: int
    """Lines that are neither ASCII nor UTF-8."""
    evidence: bytes
    """Some of those lines."""
    has_newline: bool


def scan(file: BinaryIO) -> Scan:
    """Reads the file once, in pieces. A gigabyte of ASCII takes about two seconds."""
    digest, size, utf8_lines, other_lines, evidence, has_newline = hashlib.sha256(), 0, 0, 0, b"", False
    for piece in _pieces(file):
        digest.update(piece)
        size += len(piece)
        has_newline = has_newline or b"\n" in piece
        if piece.isascii():
            continue
        utf8, other = _sorted_lines(piece)
        utf8_lines, other_lines = utf8_lines + utf8, other_lines + len(other)
        if len(evidence) < _EVIDENCE:
            evidence += b"\n".join(other)[:_EVIDENCE]
    return Scan(size, digest.hexdigest(), utf8_lines, other_lines, evidence, has_newline)


def encoding_of(file: BinaryIO, scanned: Scan, told: str | None = None) -> Encoding:
    """The encoding of the file; `told` overrides the guess. Raises `NotATable` when it is no text at all."""
    file.seek(0)
    head = file.read(64 * 1024)
    for magic, advice in _OTHER_FILES:
        if head.startswith(magic):
            raise NotATable(f"The file is {advice}.")
    mark, marked = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", ""))
    if told:
        name = _known(told, marked)
        return _encoding(name, (name,), scanned, len(mark) if name == marked else 0)
    if marked and marked != "utf-8":
        return _encoding(marked, (marked,), scanned, len(mark))
    if wide := _wide(head):
        return _encoding(wide, (wide,), scanned, 0)
    return _narrow(scanned, len(mark))


def _narrow(scanned: Scan, starts_at: int) -> Encoding:
    if not scanned.other_lines:
        return _encoding("utf-8", ("utf-8",), scanned, starts_at)
    legacy = _likely(scanned.evidence)
    if starts_at or scanned.utf8_lines >= scanned.other_lines:
        return _encoding("utf-8", ("utf-8", legacy), scanned, starts_at)
    # Two letters of an Asian double-byte encoding may also be good UTF-8; those of a single-byte one hardly ever.
    order = (legacy,) if legacy in _MANY_BYTES else ("utf-8", legacy)
    return _encoding(legacy, order, scanned, starts_at, doubt=_doubt(legacy, scanned.evidence))


def _doubt(name: str, evidence: bytes) -> str:
    letters = len(evidence) - len(evidence.decode("ascii", "ignore"))
    if letters >= _ENOUGH_LETTERS:
        return ""
    return f"the encoding {name} is a guess from very few letters; if names look wrong, say which it is"


def _likely(evidence: bytes) -> str:
    matches = list(from_bytes(evidence, cp_isolation=list(_CANDIDATES)))
    if not matches:
        return "cp1252"
    best = matches[0]
    equals = {
        name
        for match in matches
        if (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for name in match.could_be_from_charset
    }
    return next((name for name in _CANDIDATES if name in equals), best.encoding)


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: the line breaks, or most of all signs, have their NUL on the same side."""
    for name, unit in (("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")):
        marks = sum(head[at : at + 2] == unit for at in range(0, len(head), 2))
        nul_side = head[unit.index(0) :: 2]
        if (marks and marks >= 0.9 * head.count(b"\n")) or nul_side.count(0) > 0.4 * len(head) / 2:
            return name
    return ""


def _known(told: str, marked: str) -> str:
    try:
        name = codecs.lookup(told).name
        "a".encode(name)
    except (LookupError, UnicodeError):
        raise NotATable(f"There is no text encoding named {told!r}. Some names are utf-8, cp1252, utf-16.") from None
    if name in ("utf-8-sig", "utf-16", "utf-32"):
        family = name.removesuffix("-sig")
        name = marked if marked.startswith(family) else "utf-8" if family == "utf-8" else f"{family}-le"
    if not name.startswith(("utf-16", "utf-32")) and '\r\n,;"'.encode(name) != b'\r\n,;"':
        raise NotATable(f"Files in the encoding {told!r} cannot be read.")
    return name


def _encoding(name: str, order: tuple[str, ...], scanned: Scan, starts_at: int, doubt: str = "") -> Encoding:
    letter = "\n" if scanned.has_newline else "\r"
    unit = {"utf-16": 2, "utf-32": 4}.get(name[:6], 1)
    return Encoding(name, order, LineBreak(letter.encode(name), unit), starts_at, doubt)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The file in pieces that end where a line does, unless a line is longer than a piece."""
    file.seek(0)
    held = b""
    while piece := file.read(_PIECE):
        held += piece
        end = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1 or _whole_letters(held)
        yield held[:end]
        held = held[end:]
    if held:
        yield held


def _whole_letters(held: bytes) -> int:
    """The length without a UTF-8 letter that may have been cut at the end."""
    for back, byte in enumerate(reversed(held[-4:]), start=1):
        if byte >= 0xC0:
            return len(held) - back
    return len(held)


def _sorted_lines(piece: bytes) -> tuple[int, list[bytes]]:
    """How many lines that are not ASCII are UTF-8, and the lines that are not UTF-8."""
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        marked = [line for line in piece.splitlines() if not line.isascii()]
        other = [line for line in marked if not _is_utf8(line)]
        return len(marked) - len(other), other
    return sum(1 for line in piece.splitlines() if not line.isascii()), []


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
