"""What a row of a file says about a lead, by a map: the body of a `POST /v1/leads` and further facts, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import blake2b

from services.capture.importing.findings import MapError, near
from services.capture.importing.lines import Place
from services.capture.importing.map_file import ImportMap
from services.capture.importing.reading import Row, Unreadable
from services.capture.importing.submission import Composer, Json

_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken: `problems` are (field, why), none of which repeats what stands in the row.

    Either `cells` in the order of the file's columns, or `raw`, the text that could not be cut into cells.
    """

    line: int
    cells: tuple[str, ...]
    raw: str
    problems: tuple[tuple[str, str], ...]
    end: Place


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row as capture takes it.

    `submission` has the shape of a `POST /v1/leads` body, its contact points in normal form and its activity with a
    time; `activities` are items of `POST /v1/activities` without the lead. `row_key` is the same for the same cells
    on the same site, in whatever file, order of columns or run. `repaired` and `notes` say what the report counts.
    """

    line: int
    submission: Json
    activities: tuple[Json, ...]
    row_key: str
    repaired: str
    notes: tuple[str, ...]
    cells: tuple[str, ...]
    end: Place

    def activity_keys(self) -> list[str]:
        """A stable key for the submission's own activity, then for each of `activities`.

        It is made of the row, the type, the asset and a count, so that the same file imported under a better map
        adds the facts that are new and none twice.
        """
        own = self.submission["activity"]
        assert isinstance(own, dict)
        seen = dict[tuple[str, str], int]()
        keys = list[str]()
        for activity in (own, *self.activities):
            what = (str(activity["type"]), str(activity.get("asset", "")))
            seen[what] = seen.get(what, 0) + 1
            keys.append(_digest(_BETWEEN.join((self.row_key, *what, str(seen[what])))))
        return keys

    def refused(self, field: str, why: str) -> BadRow:
        """The row as one that was not taken after all."""
        return BadRow(self.line, self.cells, "", ((field, why),), self.end)


class RowMapper:
    """A map bound to the columns of a file. `unmapped` are the columns that it neither uses nor leaves out by name."""

    def __init__(self, plan: ImportMap, columns: Sequence[str], composer: Composer, used: Sequence[str]) -> None:
        self._composer = composer
        self._wanted = [(columns.index(column), plan.replace.get(column, {})) for column in used]
        self._unanswered = plan.unanswered
        self._by_name = sorted(range(len(columns)), key=lambda position: columns[position])
        self._key_seed = blake2b(_BETWEEN.join((plan.site, *sorted(columns))).encode(), digest_size=16)
        self.unmapped = tuple(column for column in columns if column not in {name for _, name in plan.mentions})

    def row(self, row: Row | Unreadable) -> ImportedRow | BadRow:
        if isinstance(row, Unreadable):
            return BadRow(row.line, (), row.raw, (("", row.reason),), row.end)
        found = self._composer.compose(self._answers(row.cells))
        if found.problems:
            return BadRow(row.line, row.cells, "", tuple(found.problems), row.end)
        return ImportedRow(
            line=row.line,
            submission=found.submission,
            activities=tuple(found.activities),
            row_key=self._row_key(row.cells),
            repaired=row.repaired,
            notes=tuple(found.notes),
            cells=row.cells,
            end=row.end,
        )

    def _answers(self, cells: Sequence[str]) -> list[str]:
        """The cells that the map uses: trimmed, corrected, and empty where nothing was answered."""
        found = list[str]()
        for position, corrections in self._wanted:
            cell = cells[position].strip()
            if corrections:
                cell = corrections.get(cell, cell)
            found.append("" if cell.casefold() in self._unanswered else cell)
        return found

    def _row_key(self, cells: Sequence[str]) -> str:
        key = self._key_seed.copy()
        key.update(_BETWEEN.join([cells[position] for position in self._by_name]).encode())
        return key.hexdigest()


def bind(
    plan: ImportMap, columns: Sequence[str], *, started: datetime, zone: tzinfo = UTC, region: str = ""
) -> RowMapper:
    """The map for a file with these columns. Raises `MapError` naming every column that the file does not have.

    `started` is when the import began: it stands for times that are not known or in the future, and is the same when
    the import goes on later. `zone` and `region` are the installation's, for what the map leaves open.
    """
    unknown = [(where, column) for where, column in plan.mentions if column not in columns]
    if unknown:
        raise MapError(
            (where, f"the file has no column {column!r}{near(column, columns)}") for where, column in unknown
        )
    used = list(dict.fromkeys(column for where, column in plan.mentions if where != "leave_out"))
    slots = {column: slot for slot, column in enumerate(used)}
    return RowMapper(plan, columns, Composer(plan, slots, started, plan.timezone or zone, region), used)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
