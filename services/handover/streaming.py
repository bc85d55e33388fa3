"""The feed as a stream of server-sent events, from any place in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse

from services.handover import feed
from services.handover.domain.lead import SalesLead
from shared import metrics
from shared.database import is_transient
from shared.errors import Malformed, Refused
from shared.keys import Scope
from shared.security import Bearer
from shared.service import Runtime, runtime_of

if TYPE_CHECKING:
    from shared.database import Connection

# What one reader has in memory at most, however slowly it reads.
PAGE = 200
POLL_SECONDS = 0.05
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000

for_events = Bearer(Scope.events)
router = APIRouter(prefix="/v1", dependencies=[Depends(for_events)])


class Tail:
    """Watches the end of the feed for all readers of this process, so that a hundred of them ask once, not each."""

    def __init__(self) -> None:
        self.last = 0
        self.readers = 0
        self.moved = asyncio.Event()
        """Set when there is more, or the end has come, and replaced by a new one."""

    async def watch(self, runtime: Runtime[SalesLead]) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not self.readers:
                continue
            try:
                async with runtime.database.connection() as connection:
                    last = await feed.last(connection)
            except Exception as error:
                if not is_transient(error):
                    raise
                continue
            if last != self.last:
                self.last = last
                self.wake()

    def wake(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happens within that time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def tail_of(runtime: Runtime[SalesLead]) -> Tail:
    tail = runtime.attached.get("tail")
    if tail is None:
        tail = runtime.attached["tail"] = Tail()
    return tail


async def watch(runtime: Runtime[SalesLead]) -> None:
    await tail_of(runtime).watch(runtime)


@router.get("/events", response_class=StreamingResponse)
async def stream_events(
    request: Request,
    since: Annotated[str | None, Query(max_length=40)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """All stage changes and all that handover says, as they happen; `text/event-stream`, one CloudEvent each.

    `Last-Event-ID` goes on after an event, `since` begins at a time (RFC 3339) or after a position (0: the beginning);
    without either the stream begins now.
    """
    runtime: Runtime[SalesLead] = runtime_of(request)
    async with runtime.database.connection() as connection:
        after = await _start(connection, since, last_event_id)
    stopping: asyncio.Event | None = getattr(request.app.state, "stopping", None)
    return StreamingResponse(
        _while_let_in(request, frames(runtime, after, stopping)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _while_let_in(request: Request, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """A key may be taken back while its reader reads."""
    async with aclosing(stream):
        with suppress(Refused):
            async for part in stream:
                await for_events(request)
                yield part


async def _start(connection: Connection, since: str | None, last_event_id: str | None) -> int:
    """The position after which to begin. Raises `Malformed`."""
    last = await feed.last(connection)
    if last_event_id:
        if not last_event_id.isdecimal() or int(last_event_id) > last:
            raise Malformed("Last-Event-ID is not one this stream has given out; begin with ?since=")
        return int(last_event_id)
    if since is None:
        return last
    if since.isdecimal():
        return min(int(since), last)
    try:
        # A plus sign in a query string arrives as a blank.
        moment = datetime.fromisoformat(since.replace(" ", "+"))
    except ValueError:
        raise Malformed("since is neither a position nor a time like 2026-03-01T09:00:00Z") from None
    return await feed.before(connection, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


async def frames(runtime: Runtime[SalesLead], after: int, stopping: asyncio.Event | None) -> AsyncGenerator[bytes]:
    tail = tail_of(runtime)
    tail.readers += 1
    metrics.STREAM_READERS.labels("handover").inc()
    ending = asyncio.create_task(_wake_at_end(tail, stopping)) if stopping else None
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n: the feed after {after}\n\n".encode()
        while not (stopping and stopping.is_set()):
            # Taken before looking: what happens while we look is not missed.
            moved = tail.moved
            try:
                rows = await _page(runtime, after)
            except Exception as error:
                if not is_transient(error):
                    raise
                yield b": the database is away\n\n"
                await asyncio.sleep(1)
                continue
            if rows:
                after = rows[-1]["pos"]
                yield b"".join(_frame(row) for row in rows)
            elif not await happens(moved, HEARTBEAT_SECONDS):
                yield b": nothing new\n\n"
    finally:
        tail.readers -= 1
        metrics.STREAM_READERS.labels("handover").dec()
        if ending:
            ending.cancel()


async def _page(runtime: Runtime[SalesLead], after: int) -> list[Any]:
    async with runtime.database.connection() as connection:
        return await feed.page(connection, after, PAGE)


def _frame(row: Any) -> bytes:
    return f"id: {row['pos']}\nevent: {row['type']}\ndata: {row['event']}\n\n".encode()


async def _wake_at_end(tail: Tail, stopping: asyncio.Event) -> None:
    await stopping.wait()
    tail.wake()
