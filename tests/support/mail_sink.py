"""A mail server in a process of its own, which writes each message down before it says that it has it.

`python -m tests.support.mail_sink PORT FILE`: a line of FILE, on disk, is the Message-ID and recipient of one.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.forked import Forked, fork
from tests.support.installation import free_ports

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


class _Book:
    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        found = _MESSAGE_ID.search(content)
        assert found is not None
        os.write(self._file, f"{found[1].decode()} {','.join(envelope.rcpt_tos)}\n".encode())
        os.fdatasync(self._file)
        return "250 OK"


@dataclass
class MailSink:
    """Killed and started anew it is the same server: its port and what it wrote down stay."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: Forked | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def file(self) -> Path:
        return self.folder / "mails"

    def start(self) -> None:
        with (self.folder / "mail-server.log").open("ab") as output:
            self.process = fork("tests.support.mail_sink", str(self.port), str(self.file), output=output)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def pause(self) -> psutil.Process:
        """Stopped until it is told to resume."""
        assert self.process is not None
        process = psutil.Process(self.process.pid)
        process.suspend()
        return process

    def taken(self) -> Counter[str]:
        """How often it took each message, by Message-ID."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return Counter(line.split(" ")[0] for line in lines)


@contextmanager
def mail_sink(folder: Path) -> Generator[MailSink]:
    sink = MailSink(folder)
    sink.start()
    try:
        yield sink
    finally:
        sink.kill()


async def serve(port: int, file: Path) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    book = _Book(file)
    server = await loop.create_server(lambda: SMTP(book, hostname="sink.test", loop=loop), "127.0.0.1", port)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
