"""The HTTP server of a service: uvicorn, with an end to what a caller may begin and never finish."""

from __future__ import annotations

import asyncio
import select
import socket
from time import perf_counter

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 32 * 1024
# An answer that a caller does not take is given up after this long.
UNTAKEN_SECONDS = 30
# Told to stop, a server waits this long for a request on connections that are open and silent.
HEAR_OUT_SECONDS = 0.5


class Connection(HttpToolsProtocol):
    """Closes on whoever connects and does not say within 10 seconds and 32 kB what for; uvicorn would wait for ever."""

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None
    _bytes = 0
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        connected: socket.socket = transport.get_extra_info("socket")
        if connected.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_SECONDS * 1000)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        super().data_received(data)
        # Looked at here, as the parser keeps a header that never ends to itself; nearly every head comes in one piece.
        if self._in_head:
            self._expect_head()
        if self._deadline is not None and self._bytes > HEAD_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._deadline is None:
            self._bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_expecting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._stop_expecting()
        cycle = getattr(self, "cycle", None)
        if cycle is None or cycle.response_complete:
            self.transport.close()


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if isinstance(self.config.app, FastAPI):
            self.config.app.state.stopping.set()
        await self._hear_out()
        await super().shutdown(sockets)

    async def _hear_out(self) -> None:
        """Refuse new connections, but answer whoever is connected already: their request may be on its way."""
        until = perf_counter() + HEAR_OUT_SECONDS
        # Whoever has connected is accepted first: a listener that is closed resets those in its queue.
        while perf_counter() < until:
            if not self._somebody_is_at_the_door():
                break
            await asyncio.sleep(0)
        for listener in self.servers:
            listener.close()
        while self.server_state.connections and perf_counter() < until and not self.force_exit:
            for connection in list(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                if cycle is not None and not cycle.response_complete:
                    # uvicorn's word for: answer this one, say `Connection: close`, and close.
                    connection.shutdown()
            await asyncio.sleep(0.002)

    def _somebody_is_at_the_door(self) -> bool:
        doors = select.poll()
        for listener in self.servers:
            for door in listener.sockets:
                doors.register(door.fileno(), select.POLLIN)
        return bool(doors.poll(0))


def server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    """uvicorn set up to say nothing of a visitor in its logs and to finish within 5 s when told to stop."""
    config = uvicorn.Config(
        app, host=host, port=port, http=Connection, log_config=None, access_log=False, server_header=False,
        lifespan="on", ws="none", timeout_graceful_shutdown=5,
    )  # fmt: skip
    return _Server(config)
