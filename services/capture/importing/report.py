"""What became of the rows of a file: counted while they pass, told as data and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from services.capture.importing.mapping import BadRow, ImportedRow

_MOST_REASONS = 100
"""Sentences kept apart; some name the letter that was wrong, and a file can have any number of letters."""

_OTHER = "other reasons"


@dataclass(slots=True)
class Report:
    """Every row is counted once in `new`, `merged`, `repeated` or `quarantined`; the counters say why, by sentence.

    A quarantined row is in `quarantined_because` once for each of its problems. `repaired` rows are taken ones.
    The report is of the whole file: of its rows, `done_before` were counted before the import was stopped.
    """

    new: int = 0
    merged: int = 0
    repeated: int = 0
    quarantined: int = 0
    repaired: int = 0
    activities: int = 0
    done_before: int = 0
    merged_because: dict[str, int] = field(default_factory=dict[str, int])
    quarantined_because: dict[str, int] = field(default_factory=dict[str, int])
    repaired_because: dict[str, int] = field(default_factory=dict[str, int])
    notes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def rows(self) -> int:
        return self.new + self.merged + self.repeated + self.quarantined

    def add_new(self, row: ImportedRow) -> None:
        """The row made a new lead."""
        self.new += 1
        self._taken(row)

    def add_merged(self, row: ImportedRow, because: str) -> None:
        """The row was joined to a known lead, `because` in words: `same e-mail address`."""
        self.merged += 1
        _count(self.merged_because, because)
        self._taken(row)

    def add_repeated(self) -> None:
        """The very row was taken before, in this file or by an earlier run: it changes nothing."""
        self.repeated += 1

    def add_quarantined(self, row: BadRow) -> None:
        """The row was not taken and is in the error file."""
        self.quarantined += 1
        for where, why in row.problems:
            _count(self.quarantined_because, f"{where}: {why}" if where else why)

    def as_json(self) -> bytes:
        """The report, to be kept while the import runs; `from_json` reads it."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> Report:
        return msgspec.json.decode(text, type=cls)

    def in_words(self) -> Iterator[str]:
        """Lines for a terminal: the outcomes with their share, each followed by its reasons, the commonest first."""
        for count, outcome, reasons in (
            (self.new, "new leads", {}),
            (self.merged, "merged into known leads", self.merged_because),
            (self.repeated, "taken before", {}),
            (self.quarantined, "quarantined", self.quarantined_because),
        ):
            share = f" ({count / self.rows:.1%})" if self.rows else ""
            yield f"{count:>9,} {outcome}{share}"
            yield from _reasons(reasons)
        yield f"{self.rows:>9,} rows"
        if self.done_before:
            yield f"{self.done_before:>9,} of them before the import was stopped, {self.rows - self.done_before:,} now"
        if self.repaired:
            yield f"{self.repaired:>9,} of them repaired"
            yield from _reasons(self.repaired_because)
        yield f"{self.activities:>9,} activities"
        yield from _reasons(self.notes)

    def _taken(self, row: ImportedRow) -> None:
        self.activities += 1 + len(row.activities)
        if row.repaired:
            self.repaired += 1
            _count(self.repaired_because, row.repaired)
        for note in row.notes:
            _count(self.notes, note)


def _count(counts: dict[str, int], sentence: str) -> None:
    known = sentence in counts or len(counts) < _MOST_REASONS
    kept = sentence if known else _OTHER
    counts[kept] = counts.get(kept, 0) + 1


def _reasons(counts: dict[str, int]) -> Iterator[str]:
    for sentence, count in sorted(counts.items(), key=lambda one: -one[1]):
        yield f"{count:>13,} {sentence}"
