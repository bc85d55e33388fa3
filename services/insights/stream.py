"""Stage changes as they happen, to any number of browsers: one look at the database serves them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.insights.domain.words import reason
from services.insights.repository import person_in
from shared import metrics
from shared.database import is_transient
from shared.errors import Unavailable

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection, Database

LOOK_SECONDS = 0.1
# Sent when nothing happens, so that the far end and all between see that the line is up.
BEAT_SECONDS = 15.0
# A reader this far behind is let go; it comes back by itself and takes up where it was.
MOST_WAITING = 500
# A page is drawn a moment before it listens: what happened between is among these, and it knows what it has shown.
SHOWN_ALREADY = 30
PER_LOOK = 200

_COLUMNS = """f.pos, f.lead_id, f.from_stage, f.to_stage, f.reason, f.value, f.currency, f.at,
    l.name, l.company, l.email, l.phone, l.role, l.test"""
_LIVE = "insights.flow f JOIN insights.lead l USING (lead_id) WHERE NOT f.history"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A stage change as the console shows it; `who` is personal, so it goes to the console and nowhere else."""

    pos: int
    at: datetime
    lead_id: UUID
    who: str
    frm: str | None = msgspec.field(name="from")
    to: str
    reason: str
    test: bool


async def newest(connection: Connection, count: int, after: int = 0) -> list[Change]:
    """The newest changes, newest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM {_LIVE} AND f.pos > $1 ORDER BY f.pos DESC LIMIT $2", after, count
    )
    return [_change(row) for row in rows]


def _change(row: asyncpg.Record) -> Change:
    return Change(
        pos=row["pos"],
        at=row["at"],
        lead_id=row["lead_id"],
        who=person_in(row).called(row["lead_id"]),
        frm=row["from_stage"] or None,
        to=row["to_stage"],
        reason=reason(row["reason"], row["value"], row["currency"]),
        test=row["test"],
    )


def _message(change: Change) -> bytes:
    return b"id: %d\nevent: stage\ndata: %s\n\n" % (change.pos, msgspec.json.encode(change))


@dataclass(eq=False)
class _Reader:
    queue: asyncio.Queue[tuple[int, bytes] | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    open: bool = True


class StageStream:
    """`most` readers at a time. Nothing is asked of the database while there is none."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most
        self._readers: set[_Reader] = set()
        self._pos = 0
        self._joining = asyncio.Lock()
        self._watched = asyncio.Event()
        self._stopping = asyncio.Event()

    async def follow(self, last: int | None, stopping: asyncio.Event) -> AsyncGenerator[bytes]:
        """What one reader is sent: first what it has missed since the position `last`, then what happens.

        Raises `Unavailable` before the first byte when too many read already.
        """
        self._stopping = stopping
        reader = await self._join()
        try:
            missed = await self._missed(last)
        except BaseException:
            self._leave(reader)
            raise
        return self._lines(reader, missed)

    async def _join(self) -> _Reader:
        async with self._joining:
            if len(self._readers) >= self._most:
                raise Unavailable("too many browsers follow the stage changes already")
            if not self._readers:
                async with self._database.connection() as connection:
                    self._pos = await connection.fetchval("SELECT coalesce(max(pos), 0) FROM insights.flow")
            reader = _Reader()
            self._readers.add(reader)
            metrics.STREAM_READERS.labels("insights").set(len(self._readers))
            self._watched.set()
            return reader

    def _leave(self, reader: _Reader) -> None:
        self._readers.discard(reader)
        metrics.STREAM_READERS.labels("insights").set(len(self._readers))

    async def _missed(self, last: int | None) -> Sequence[Change]:
        async with self._database.connection() as connection:
            most = SHOWN_ALREADY if last is None else MOST_WAITING
            return list(reversed(await newest(connection, most, after=last or 0)))

    async def _lines(self, reader: _Reader, missed: Sequence[Change]) -> AsyncGenerator[bytes]:
        try:
            yield b"retry: 2000\n\n"
            sent = 0
            for change in missed:
                sent = change.pos
                yield _message(change)
            while True:
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        line = await reader.queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if line is None:
                    return
                if line[0] > sent:
                    sent = line[0]
                    yield line[1]
        finally:
            self._leave(reader)

    async def run(self) -> None:
        """Look for changes for as long as anybody follows, for ever."""
        while True:
            await self._watched.wait()
            self._watched.clear()
            while self._readers:
                try:
                    full = await self._look()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    full = False
                if self._stopping.is_set():
                    for reader in list(self._readers):
                        self._end(reader)
                if not full:
                    await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> bool:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM {_LIVE} AND f.pos > $1 ORDER BY f.pos LIMIT $2", self._pos, PER_LOOK
            )
        for change in map(_change, rows):
            self._pos = change.pos
            self._tell(change.pos, _message(change))
        return len(rows) == PER_LOOK

    def _tell(self, pos: int, message: bytes) -> None:
        for reader in list(self._readers):
            try:
                reader.queue.put_nowait((pos, message))
            except asyncio.QueueFull:
                self._end(reader)

    def _end(self, reader: _Reader) -> None:
        """Its last line is followed by the end of the stream."""
        self._leave(reader)
        while True:
            try:
                reader.queue.put_nowait(None)
                return
            except asyncio.QueueFull:
                reader.queue.get_nowait()
