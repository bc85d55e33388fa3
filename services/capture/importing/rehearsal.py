"""An import that only says what it would do: the same rows, the same recognition, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.capture.domain.recognition import Known, Person, keys_of, recognise
from services.capture.importing import ledger
from services.capture.importing.asking import Asked, Asker
from services.capture.importing.mapping import BadRow, ImportedRow
from services.capture.importing.report import Report
from shared.clock import uuid7

if TYPE_CHECKING:
    from shared.database import Connection, Database


class Rehearsal:
    """Remembers what the rows before would have changed."""

    def __init__(self, database: Database, asker: Asker) -> None:
        self.report = Report()
        self.refused: list[BadRow] = []
        self._database = database
        self._asker = asker
        self._facts: set[str] = set()
        self._known: dict[str, Known] = {}

    async def take(self, chunk: Sequence[ImportedRow | BadRow], now: datetime) -> None:
        """Count what would become of these rows."""
        async with self._database.connection() as connection:
            keys = [key for row in chunk if isinstance(row, ImportedRow) for key in row.activity_keys()]
            self._facts |= await ledger.known_facts(connection, keys)
            asked = [found for row in chunk if (found := self._look_at(row, now)) is not None]
            people = [Person(uuid7(), a.ask.submission.email, a.ask.submission.phone) for a in asked]
            await self._look_up(connection, people)
        recognised, self._known = recognise(people, self._known)
        for one, person, who in zip(asked, people, recognised, strict=True):
            if who.lead_id == person.fresh:
                self.report.add_new(one.row)
            else:
                self.report.add_merged(one.row, one.because)

    def _look_at(self, row: ImportedRow | BadRow, now: datetime) -> Asked | None:
        found = row if isinstance(row, BadRow) else self._asker.ask(row, self._facts, now)
        if found is None:
            self.report.add_repeated()
        elif isinstance(found, BadRow):
            self.report.add_quarantined(found)
            self.refused.append(found)
        else:
            self._facts.update(found.keys)
            return found
        return None

    async def _look_up(self, connection: Connection, people: Sequence[Person]) -> None:
        unknown = [key for person in people for key in keys_of(person) if key not in self._known]
        rows = await connection.fetch("SELECT * FROM capture.identity WHERE key = ANY($1)", unknown)
        self._known |= {row["key"]: Known(row["lead_id"], row["has_email"]) for row in rows}
