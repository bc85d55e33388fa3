"""Callers who never give up, in a process of their own: each lead is written down once it was acknowledged.

`python -m tests.support.journal PORT FILE CALLERS PER_SECOND SEED` posts until it is told to stop (SIGTERM), then goes
on until every lead it has begun is acknowledged. A line is on disk before the caller goes on. What is no 202 is
counted by its kind in `FILE.errors` and asked again with the same key.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from tests.support.installation import KEY

KINDS = ("demo_requested", "newsletter_subscribed", "asset_downloaded")
PATIENCE_SECONDS = 20.0


class Caller:
    """One connection at a time, opened anew whenever it breaks."""

    def __init__(self, port: int, errors: Counter[str]) -> None:
        self._port = port
        self._errors = errors
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def acknowledged(self, body: bytes, key: str) -> str:
        """Ask until it is acknowledged; answers the lead's id."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    status, answer = await self._ask(body, key)
            except (OSError, EOFError, TimeoutError) as error:
                self._errors[type(error).__name__] += 1
                self._hang_up()
                await asyncio.sleep(0.05)
                continue
            if status == 202:
                return str(json.loads(answer)["lead_id"])
            self._errors[str(status)] += 1
            await asyncio.sleep(0.1)

    async def _ask(self, body: bytes, key: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            f"POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(length)
        if b"connection: close" in lines:
            self._hang_up()
        return int(lines[0].split()[1]), answer

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def call(port: int, file: Path, callers: int, per_second: float, seed: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    errors = Counter[str]()
    journal = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def one(number: int) -> None:
        dice, caller, count = random.Random(seed * 1000 + number), Caller(port, errors), 0
        while not ended.is_set():
            count += 1
            kind = dice.choice(KINDS)
            lead = await caller.acknowledged(_body(f"{seed}-{number}-{count}", kind), f"{seed}-{number}-{count}")
            os.write(journal, f"{lead} {kind}\n".encode())
            os.fdatasync(journal)
            await asyncio.sleep(dice.expovariate(per_second / callers))

    await asyncio.gather(*map(one, range(callers)))
    file.with_suffix(".errors").write_text(json.dumps(errors))


def _body(name: str, kind: str) -> bytes:
    consent = {"marketing_email": {"granted": True, "text": "Write to me."}}
    return json.dumps(
        {
            "site": "demo",
            "email": f"p{name}@norrvik.com",
            "name": f"Person {name}",
            "activity": {"type": kind},
            "source": {"channel": "paid", "medium": "cpc"},
            **({"consent": consent} if kind == "newsletter_subscribed" else {}),
        }
    ).encode()


if __name__ == "__main__":
    port, file, callers, per_second, seed = sys.argv[1:]
    asyncio.run(call(int(port), Path(file), int(callers), float(per_second), int(seed)))
