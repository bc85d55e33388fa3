"""Outgoing mail: over a few kept connections, one message at a time on each, or into files where no server is set.

What became of a message is said exactly, because the sender's policy hangs on it: accepted (`send` returns), not
accepted (`MailRefused`), or unknown (`MailUncertain`): the connection broke between the message and its receipt, a gap
that SMTP cannot close (RFC 1047).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from datetime import datetime
from email import policy
from email.headerregistry import HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPNotSupported, SMTPRecipientsRefused, SMTPResponseException


class _AsWritten(UnstructuredHeader):
    """A header of addresses for programs: folded or encoded, a long link in it would be none."""

    name: str  # of BaseHeader, which the registry mixes in

    def fold(self, *, policy: policy.EmailPolicy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


class _Headers(HeaderRegistry):
    """Reads each header once, and makes its class once: that is most of the work of a mail, and most are the same."""

    def __init__(self) -> None:
        super().__init__()
        self._class = lru_cache(super().__getitem__)
        self._read = lru_cache(maxsize=500)(super().__call__)

    def __getitem__(self, name: str) -> type:
        return self._class(name)

    def __call__(self, name: str, value: Any) -> Any:
        return self._read(name, value)


_headers = _Headers()
_headers.map_to_type("list-unsubscribe", _AsWritten)  # pyright: ignore[reportArgumentType] - mixed in, as said above

# Seven bits only, so that every server takes it; CR and LF in a header are an error, not a second header.
WIRE = policy.SMTP.clone(cte_type="7bit", header_factory=_headers)

SEND_SECONDS = 20
# A process that is told to stop lets the mail in its hands finish, within the time it is given to stop.
STOP_SECONDS = 4.0
# Servers and routers forget idle connections, some without a word: one that rested this long is not used again.
RESTED_SECONDS = 15
# A server far away takes a tenth of a second for a message, and many refuse more connections than this of one sender.
CONNECTIONS = 4


T = TypeVar("T")


async def finishing(work: Coroutine[None, None, T]) -> T:
    """Run to the end even when told to stop meanwhile: what became of a mail must not be lost by seconds."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        task.cancel()
        raise


async def as_they_leave(sends: Iterable[Coroutine[None, None, T]]) -> AsyncGenerator[list[T]]:
    """Run them side by side, and give out together those that have ended since the last were given out."""
    waiting = {asyncio.ensure_future(send) for send in sends}
    try:
        while waiting:
            ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            yield [send.result() for send in ended]
    finally:
        for send in waiting:
            send.cancel()


class MailRefused(Exception):
    """The message was not accepted. `permanent`: it never will be; else the same message may be sent again later.

    `code` is the server's reply code, 0 without one.
    """

    def __init__(self, reason: str, *, permanent: bool = False, code: int = 0) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.code = code


class MailServerAway(MailRefused):
    """No message would be accepted now: the server cannot be reached or does not let us in."""


class MailUncertain(Exception):
    """The message was given away and no receipt came: it may have been accepted."""


class _Connection(SMTP):
    async def data(self, message: str | bytes, /, *, timeout: Any = aiosmtplib.typing.Default.token) -> Any:
        try:
            return await super().data(message, timeout=timeout)
        except (ConnectionError, TimeoutError) as error:
            raise MailUncertain("the connection broke before the receipt") from error


class Mailer:
    """Sends by the server at `smtp_url`; without one, keeps each message as `<Message-ID>.eml` in `sink_folder`."""

    def __init__(self, smtp_url: str | None, sink_folder: Path) -> None:
        self._url = smtp_url
        self._folder = sink_folder
        # Each with the moment it was last used, the latest at the end.
        self._kept: list[tuple[float, _Connection]] = []
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def send(self, message: EmailMessage) -> None:
        """Send to the one address in `To`. Raises `MailRefused` or `MailUncertain`; returns only when accepted."""
        async with self._room:
            if self._url is None:
                await asyncio.to_thread(self._keep, message)
                return
            self._drop_kept(before=time.monotonic() - RESTED_SECONDS)
            kept = self._kept.pop()[1] if self._kept else None
            try:
                await self._send(message, kept or await self._connect(self._url))
            except MailServerAway:
                if kept is None:
                    raise
                # It was closed while it lay idle, and nothing of the message was given away yet.
                await self._send(message, await self._connect(self._url))

    async def _connect(self, url: str) -> _Connection:
        connection = _Connection(**_address(url), timeout=SEND_SECONDS)
        try:
            await connection.connect()
        except (SMTPException, OSError) as error:
            connection.close()
            raise MailServerAway(type(error).__name__, code=getattr(error, "code", 0)) from error
        return connection

    async def _send(self, message: EmailMessage, connection: _Connection) -> None:
        try:
            await connection.send_message(message)
        except (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupported) as error:
            self._kept.append((time.monotonic(), connection))
            raise _refusal(error) from error
        except (SMTPException, OSError) as error:
            connection.close()
            raise MailServerAway(type(error).__name__) from error
        except BaseException:
            # Uncertain, or cancelled in the middle of a message: the connection is of no further use.
            connection.close()
            raise
        self._kept.append((time.monotonic(), connection))

    async def close(self) -> None:
        for _, connection in self._kept:
            with contextlib.suppress(SMTPException, OSError):
                async with asyncio.timeout(2):
                    await connection.quit()
        self._drop_kept()

    def _drop_kept(self, before: float = math.inf) -> None:
        while self._kept and self._kept[0][0] < before:
            self._kept.pop(0)[1].close()

    def _keep(self, message: EmailMessage) -> None:
        """The same message kept twice is one file."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = re.sub(r"[^\w.@-]", "_", str(message["Message-ID"]).strip("<>"), flags=re.ASCII)[:200]
        unfinished = self._folder / f".{name}"
        unfinished.write_bytes(message.as_bytes(policy=WIRE))
        unfinished.replace(self._folder / f"{name}.eml")


def compose(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    html: str = "",
    message_id: str,
    at: datetime,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """A message in text and HTML. `message_id` is `unique@domain`; a message sent again keeps it.

    `sender` is `leadline@example.com` or `Leadline <leadline@example.com>`. Raises ValueError for a line break in a
    header or an address that is none.
    """
    message = EmailMessage(policy=WIRE)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}>"
    for name, value in (headers or {}).items():
        message[name] = value
    if len(message["To"].addresses) != 1 or not all(one.domain for one in message["To"].addresses):
        raise ValueError("a message goes to one address")
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def _refusal(error: SMTPException) -> MailRefused:
    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, SMTPResponseException):
        return MailRefused(f"{type(error).__name__} {error.code}", permanent=error.code >= 500, code=error.code)
    return MailRefused(type(error).__name__, permanent=True)


def _address(url: str) -> dict[str, Any]:
    """`smtp://` goes over to TLS when the server offers it, `smtps://` begins with it."""
    parts = urlsplit(url)
    tls = parts.scheme == "smtps"
    return {
        "hostname": parts.hostname,
        "port": parts.port or (465 if tls else 587 if parts.username else 25),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": tls,
    }
