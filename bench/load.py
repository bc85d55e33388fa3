"""Load drivers that cost little: raw HTTP/1.1 over kept connections, one request after the other on each."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec


@dataclass
class Measured:
    """`seconds` of each answered request; answers that were not 202 are counted apart."""

    lasted: float = 0.0
    seconds: list[float] = field(default_factory=list[float])
    refused: int = 0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.lasted

    def quantile(self, part: float) -> float:
        return quantile(self.seconds, part)


def quantile(values: Sequence[float], part: float) -> float:
    """Infinite of none: what never came."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else math.inf


def lead(number: int, run: str, activity: str = "form_submitted") -> bytes:
    """A submission of about 0.4 kB, of one of 300,000 possible people."""
    return msgspec.json.encode({
        "email": f"person{number}@company{number % 5000}.com",
        "name": f"Person {number}",
        "company": f"Company {number % 5000}",
        "fields": {"size": "40 to 400", "role": "head of operations"},
        "activity": {"type": activity, "asset": f"{run} checklist"},
        "source": {"channel": "paid", "medium": "cpc", "campaign": "winter"},
        "consent": {"marketing_email": {"granted": True, "text": "Send me one mail a month."}},
    })  # fmt: skip


@dataclass
class Caller:
    """One kept connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: str

    @staticmethod
    async def at(port: int, headers: str) -> Caller:
        return Caller(*await asyncio.open_connection("127.0.0.1", port), headers)

    async def post(self, path: str, body: bytes, key: str) -> tuple[bool, bytes]:
        """Whether the answer was 202, and its body."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nIdempotency-Key: {key}\r\n{self.headers}\r\n"
        )
        status, said = await self._ask(head.encode() + body)
        return status == 202, said

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self.headers}\r\n".encode())

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        return int(answer[9:12]), await self.reader.readexactly(_length(answer))


async def post_leads(port: int, seconds: float, connections: int, headers: str, seed: int) -> Measured:
    """As fast as they are answered, for that long over that many connections; each submission with a key of its own."""
    dice = random.Random(seed)
    return await post(
        port, seconds, connections, headers, lambda name: ("/v1/leads", lead(dice.randrange(300_000), name)), str(seed)
    )


async def post(
    port: int, seconds: float, connections: int, headers: str, make: Callable[[str], tuple[str, bytes]], name: str
) -> Measured:
    """`make` answers path and body of the next request; it is told which connection asks."""
    measured = Measured()
    began = time.perf_counter()

    async def ask(mine: str) -> None:
        caller = await Caller.at(port, headers)
        for count in itertools.count():
            if (sent := time.perf_counter()) >= began + seconds:
                break
            taken, _ = await caller.post(*make(mine), f"{mine}-{count}")
            if taken:
                measured.seconds.append(time.perf_counter() - sent)
            else:
                measured.refused += 1
        caller.writer.close()

    await asyncio.gather(*(ask(f"{name}-{number}") for number in range(connections)))
    measured.lasted = time.perf_counter() - began
    return measured


async def post_at(
    port: int,
    rate: float,
    seconds: float,
    headers: str,
    seed: int,
    *,
    activity: str = "form_submitted",
    answered: Callable[[float, bytes], None] = lambda _due, _answer: None,
) -> Measured:
    """So many leads a second, all of them new people, whether or not the ones before were answered; a wait counts from
    when it was due.

    `answered` is told when each was due (as `time.perf_counter`) and what the answer said.
    """
    measured = Measured()
    turns = itertools.count()
    began = time.perf_counter() + 0.1

    async def ask() -> None:
        caller = await Caller.at(port, headers)
        while (due := began + next(turns) / rate) < began + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            number = round((due - began) * rate)
            body = lead(seed * 1_000_000 + number, str(seed), activity)
            taken, said = await caller.post("/v1/leads", body, f"{seed}-{number}")
            if taken:
                measured.seconds.append(time.perf_counter() - due)
                answered(due, said)
            else:
                measured.refused += 1
        caller.writer.close()

    # Enough of them that one is free when its turn comes, as long as answers take less than half a second.
    await asyncio.gather(*(ask() for _ in range(max(int(rate / 2), 16))))
    measured.lasted = time.perf_counter() - began
    return measured


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    return int(lowered[at : lowered.index(b"\r\n", at)])
