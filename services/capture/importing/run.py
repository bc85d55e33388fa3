"""A file of leads becomes leads: batch by batch, each in one transaction with its place in the file.

An import that is stopped at any moment goes on behind the last batch that was committed, and no row is taken twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from uuid import UUID

import structlog

from services.capture.acceptance import Answer, Verdict, accept
from services.capture.domain.submission import Activity, Visit
from services.capture.handlers import record_activity
from services.capture.importing import ledger
from services.capture.importing.asking import Asked, Asker
from services.capture.importing.error_file import ErrorFile
from services.capture.importing.layout import Layout, examine
from services.capture.importing.ledger import Refusal, Run
from services.capture.importing.lines import Place
from services.capture.importing.map_file import ImportMap, read_map
from services.capture.importing.mapping import BadRow, ImportedRow, RowMapper, bind
from services.capture.importing.reading import rows
from services.capture.importing.rehearsal import Rehearsal
from services.capture.importing.report import Report
from services.capture.repository import Record
from services.capture.room import Room, room_in
from services.capture.sites import Site
from shared.clock import uuid7
from shared.database import is_transient
from shared.errors import NotFound, Problem
from shared.events.capture import Touch
from shared.events.envelope import Actor
from shared.leads import Cause
from shared.trace import step

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

Start = Literal["nothing", "journeys", "handover"]

BATCH = 250
JUDGED_TOGETHER = 500
# An outage that is over by then is none to an import.
PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.5

IMPORT_ENDED = "import_ended"
"""The activity that asks for the judgement; nobody else can say it."""

logger = structlog.get_logger("import")


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` bytes while rows are taken, of leads while they are judged. `resumed`: it went on."""

    stage: Literal["rows", "judging"]
    done: int
    total: int
    report: Report
    resumed: bool = False


Tell = Callable[[Progress], None]


async def run_import(
    runtime: Runtime[Record],
    file: Path,
    map_text: str,
    *,
    dry_run: bool,
    start: Start = "nothing",
    progress: Tell = lambda _: None,
    errors: Path | None = None,
) -> Report:
    """Import the leads of a file as history, and judge each of them once at the end, as of now.

    `start` says whether that judgement may start anything. Rows that cannot be taken are written to `errors`, by
    default `<file>.errors.csv` where the command was given; without such rows there is no such file. Run again after
    it was stopped, it goes on; run again when it was done, it finds every row taken before.

    The tables must be there (`runtime.prepared`). Raises `NotATable`, `MapError`, `NotFound` for a site that is not
    there, and `BeingImported`.
    """
    plan, room = read_map(map_text), room_in(runtime)
    site = await _site(room, plan.site)
    asker = Asker(site, room.settings.currency, room.activity_types, step())
    error_file = errors or Path(f"{file.stem}.errors.csv")
    with file.open("rb") as stream:
        layout = examine(stream)
        if dry_run:
            return await _rehearse(room, stream, layout, plan, asker, progress, error_file)
        async with runtime.database.transaction() as connection:
            run = await ledger.begin(
                connection,
                _key(layout.fingerprint, map_text, start),
                file=file.name,
                site=site.name,
                start=start,
                first_row=layout.first_row,
                now=runtime.clock.now(),
            )
        mapper = _mapper(room, plan, layout, site, run.started_at)
        work = _Import(runtime, layout, run, mapper, asker, start, progress)
        return await work.complete(stream, error_file)


def _key(fingerprint: str, map_text: str, start: str) -> str:
    return hashlib.sha256("\0".join((fingerprint, map_text, start)).encode()).hexdigest()


async def _site(room: Room, name: str) -> Site:
    site = await room.sites.named(name)
    if site is None:
        raise NotFound(f"There is no site {name!r}: make it with PUT /v1/sites, or name another in the map.")
    return site


def _mapper(room: Room, plan: ImportMap, layout: Layout, site: Site, started: datetime) -> RowMapper:
    region = site.region or room.settings.phone_region
    return bind(plan, layout.columns, started=started, zone=room.settings.timezone, region=region)


def _mapped(stream: BinaryIO, layout: Layout, mapper: RowMapper, start: Place) -> Iterator[ImportedRow | BadRow]:
    return (mapper.row(row) for row in rows(stream, layout, start))


def _chunks(source: Iterable[ImportedRow | BadRow]) -> Iterator[list[ImportedRow | BadRow]]:
    iterator = iter(source)
    while chunk := list(islice(iterator, BATCH)):
        yield chunk


async def _rehearse(
    room: Room, stream: BinaryIO, layout: Layout, plan: ImportMap, asker: Asker, progress: Tell, error_file: Path
) -> Report:
    now = room.runtime.clock.now()
    mapper = _mapper(room, plan, layout, asker.site, now)
    rehearsal = Rehearsal(room.runtime.database, asker)
    for chunk in _chunks(_mapped(stream, layout, mapper, layout.first_row)):
        await rehearsal.take(chunk, now)
        progress(Progress("rows", chunk[-1].end.offset, layout.size, rehearsal.report))
    _write_errors(error_file, layout, [(r.line, r.cells, r.raw, r.problems) for r in rehearsal.refused])
    return rehearsal.report


def _write_errors(path: Path, layout: Layout, refused: Sequence[Refusal]) -> None:
    if not refused:
        return
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        errors = ErrorFile(stream, layout.columns)
        for line, cells, raw, problems in refused:
            errors.add(line, cells, raw, problems)


class _Import:
    """One run, from where it stands to its end."""

    def __init__(
        self,
        runtime: Runtime[Record],
        layout: Layout,
        run: Run,
        mapper: RowMapper,
        asker: Asker,
        start: Start,
        progress: Tell,
    ) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._layout = layout
        self._run = run
        self._mapper = mapper
        self._asker = asker
        self._start = start
        self._progress = progress
        self._report = run.report
        self._report.done_before = run.report.rows

    async def complete(self, stream: BinaryIO, error_file: Path) -> Report:
        if not self._run.read:
            await self._take_rows(stream)
        await self._judge_all()
        async with self._database.connection() as connection:
            refused = await ledger.refused(connection, self._run.run_id)
        _write_errors(error_file, self._layout, refused)
        async with self._database.transaction() as connection:
            await ledger.finish(connection, self._run.run_id, self._runtime.clock.now())
        return self._report

    async def _take_rows(self, stream: BinaryIO) -> None:
        place = self._run.place
        for chunk in _chunks(_mapped(stream, self._layout, self._mapper, place)):
            await self._take(place, chunk)
            place = chunk[-1].end
            self._tell("rows", place.offset, self._layout.size)
        async with self._database.transaction() as connection:
            await ledger.mark_read(connection, self._run.run_id)

    async def _take(self, before: Place, chunk: Sequence[ImportedRow | BadRow]) -> None:
        """Take rows in one transaction. Those that the database refuses are halved until the culprit stands alone."""
        try:
            await self._take_patiently(before, chunk)
        except Exception as error:
            culprit = chunk[0]
            if isinstance(error, Problem) or is_transient(error) or (len(chunk) == 1 and isinstance(culprit, BadRow)):
                raise
            if len(chunk) > 1:
                middle = len(chunk) // 2
                await self._take(before, chunk[:middle])
                await self._take(chunk[middle - 1].end, chunk[middle:])
            elif isinstance(culprit, ImportedRow):
                logger.error("row_not_stored", line=culprit.line, error=error)
                await self._take(before, [culprit.refused("", "it could not be stored")])

    async def _take_patiently(self, before: Place, chunk: Sequence[ImportedRow | BadRow]) -> None:
        """Try again while the database is away. A commit whose answer was lost shows in the place it moved."""
        loop = asyncio.get_running_loop()
        give_up, tried = loop.time() + PATIENCE_SECONDS, False
        while True:
            try:
                if not (tried and await self._came_through(chunk[-1].end)):
                    self._report = await self._commit(before, chunk)
                return
            except Exception as error:
                if not is_transient(error) or loop.time() > give_up:
                    raise
                tried = True
                logger.warning("import_waits", error=type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _came_through(self, after: Place) -> bool:
        async with self._database.connection() as connection:
            place, report = await ledger.state_of(connection, self._run.run_id)
        if place.offset != after.offset:
            return False
        self._report = report
        return True

    async def _commit(self, before: Place, chunk: Sequence[ImportedRow | BadRow]) -> Report:
        """The report with these rows in it, once they are stored with it."""
        report = Report.from_json(self._report.as_json())
        async with self._database.transaction() as connection:
            now = self._runtime.clock.now()
            asked, refused = await self._sort(connection, chunk, report, now)

            async def also(inner: Connection, verdicts: Sequence[Verdict]) -> None:
                leads = {_count(one, verdict, report) for one, verdict in zip(asked, verdicts, strict=True)}
                await ledger.keep_facts(inner, [key for one in asked for key in one.keys])
                await ledger.keep_leads(inner, self._run.run_id, leads)
                await ledger.keep_refused(inner, self._run.run_id, refused)
                await ledger.advance(inner, self._run.run_id, before, chunk[-1].end, report)

            await accept(self._runtime.leads, connection, [one.ask for one in asked], now, also=also)
        return report

    async def _sort(
        self, connection: Connection, chunk: Sequence[ImportedRow | BadRow], report: Report, now: datetime
    ) -> tuple[list[Asked], list[BadRow]]:
        """The rows to take and those that cannot be taken; those taken before are counted and left out."""
        keys = [key for row in chunk if isinstance(row, ImportedRow) for key in row.activity_keys()]
        known = await ledger.known_facts(connection, keys)
        asked: list[Asked] = []
        refused: list[BadRow] = []
        for row in chunk:
            found = row if isinstance(row, BadRow) else self._asker.ask(row, known, now)
            if found is None:
                report.add_repeated()
            elif isinstance(found, BadRow):
                report.add_quarantined(found)
                refused.append(found)
            else:
                known.update(found.keys)
                asked.append(found)
        return asked, refused

    async def _judge_all(self) -> None:
        """The last word on each lead: what it is worth as of now."""
        async with self._database.connection() as connection:
            total = await ledger.count_unjudged(connection, self._run.run_id)
        done = 0
        while judged := await self._judge_some():
            done += judged
            self._tell("judging", done, total)

    async def _judge_some(self) -> int:
        leads = self._runtime.leads
        async with self._database.transaction() as connection:
            ids = await ledger.unjudged(connection, self._run.run_id, JUDGED_TOGETHER)
            await ledger.mark_judged(connection, self._run.run_id, ids)
            now = self._runtime.clock.now()
            cause = Cause(
                time=now,
                history=self._start == "nothing",
                trace=self._asker.trace,
                event_id=str(self._run.run_id),
                actor=Actor("import"),
            )
            work = await leads.open(connection, ids, cause, now, create=False)
            for lead in work.leads.values():
                if lead.state.has_card:
                    ended = Activity(type=IMPORT_ENDED, at=now, reason=self._start, judge=True)
                    record_activity(lead, Visit(uuid7(), ended, Touch()), self._asker.site.policy)
            await leads.save(work)
        return len(ids)

    def _tell(self, stage: Literal["rows", "judging"], done: int, total: int) -> None:
        self._progress(Progress(stage, done, total, self._report, self._run.resumed))


def _count(asked: Asked, verdict: Verdict, report: Report) -> UUID:
    assert isinstance(verdict, Answer)
    assert verdict.lead_id is not None
    if verdict.created:
        report.add_new(asked.row)
    else:
        report.add_merged(asked.row, asked.because)
    return verdict.lead_id
