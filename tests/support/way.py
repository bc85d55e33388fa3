"""A way to a server that can be blocked, silenced for good or broken: a TCP proxy on a port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit, urlunsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Way:
    """While it is blocked whoever comes is let in, and not a byte goes either way: nobody is told that it is so."""

    reach: Callable[[], Awaitable[Streams]]
    port: int = 0
    passed: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = field(default_factory=list)
    _lost: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def block(self) -> None:
        self._open.clear()

    def unblock(self, *, lose: bool = False) -> None:
        """With `lose` the connections of before and meanwhile stay silent for ever, as after a failover."""
        if lose:
            self._lost.update(writer for pair in self._pairs for writer in pair)
        self._open.set()

    def reset(self) -> None:
        """Break every connection without a farewell (RST)."""
        for near, far in self._pairs:
            near.transport.abort()
            far.transport.abort()
        self._pairs.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            far_reader, far_writer = await self.reach()
            self._pairs.append((writer, far_writer))
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._open.wait()
            if writer in self._lost:
                await asyncio.Event().wait()
            writer.write(data)
            self.passed += len(data)
            await writer.drain()
        writer.close()

    async def end(self) -> None:
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def way_to(reach: Callable[[], Awaitable[Streams]]) -> AsyncGenerator[Way]:
    way = Way(reach)
    way.unblock()
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        await way.end()


def to_kafka(bootstrap: str) -> Callable[[], Awaitable[Streams]]:
    host, _, port = bootstrap.rpartition(":")
    return lambda: asyncio.open_connection(host, int(port))


def to_postgres(dsn: str) -> Callable[[], Awaitable[Streams]]:
    """Its socket file or its port, whichever the address names."""
    given = urlsplit(dsn)
    folder = parse_qs(given.query).get("host", [""])[0]
    if folder.startswith("/"):
        return lambda: asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{given.port or 5432}")
    return lambda: asyncio.open_connection(given.hostname, given.port or 5432)


def by(way: Way, dsn: str) -> str:
    """The same database, reached by that way."""
    given = urlsplit(dsn)
    user = given.netloc.rpartition("@")[0]
    return urlunsplit(given._replace(netloc=f"{user}@127.0.0.1:{way.port}", query=""))
