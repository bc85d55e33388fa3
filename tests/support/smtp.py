"""A real SMTP server on a free port that keeps what it is given and can be told to misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from random import Random

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Inbox:
    """`messages` in the order of their receipt. The next answers of the server to a recipient or to a whole message
    can be set; `drop_after_data` breaks that many connections instead of sending the receipt. While `hold` is there and
    not set, messages wait for their receipt; with `hold_recipients` recipients wait for theirs. `waiting` counts
    messages without one. `arrivals` has the moment (monotonic) at which each message was whole.
    `slow` are the most seconds that the server thinks about a recipient.
    """

    url: str = ""
    messages: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    connections: int = 0
    to_recipients: list[str] = field(default_factory=list)
    to_messages: list[str] = field(default_factory=list)
    drop_after_data: int = 0
    hold: asyncio.Event | None = None
    hold_recipients: asyncio.Event | None = None
    waiting: int = 0
    slow: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    _open: list[SMTP] = field(default_factory=list)
    _chance: Random = field(default_factory=lambda: Random(1))

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await asyncio.sleep(self._chance.uniform(0, self.slow))
        if self.hold_recipients is not None:
            await self.hold_recipients.wait()
        if self.to_recipients:
            return self.to_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        arrived = time.monotonic()
        self.waiting += 1
        if self.hold is not None:
            await self.hold.wait()
        self.waiting -= 1
        if self.to_messages:
            return self.to_messages.pop(0)
        self.arrivals.append(arrived)
        content = envelope.content
        assert isinstance(content, bytes)
        self.messages.append(message_from_bytes(content, policy=policy.default))  # pyright: ignore[reportArgumentType]
        self.envelopes.append((envelope.mail_from or "", list(envelope.rcpt_tos)))
        if self.drop_after_data:
            self.drop_after_data -= 1
            assert server.transport is not None
            server.transport.abort()
        return "250 OK"

    def hang_up(self) -> None:
        """Close every open connection, as servers do with idle ones."""
        for server in self._open:
            if server.transport is not None:
                server.transport.close()
        self._open.clear()

    def serve(self) -> SMTP:
        self.connections += 1
        server = SMTP(self, hostname="inbox.test", loop=asyncio.get_running_loop(), enable_SMTPUTF8=True)
        self._open.append(server)
        return server


@asynccontextmanager
async def inbox(port: int = 0) -> AsyncGenerator[Inbox]:
    kept = Inbox()
    server = await asyncio.get_running_loop().create_server(kept.serve, "127.0.0.1", port)
    kept.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield kept
    finally:
        server.close()
        kept.hang_up()
        await server.wait_closed()
