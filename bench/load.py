"""A load driver that costs little: raw HTTP/1.1 over kept connections, one request after the other on each."""

from __future__ import annotations

import asyncio
import random
import time
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
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def lead(number: int, run: str) -> bytes:
    """A submission of about 0.4 kB, of one of 300,000 possible people."""
    return msgspec.json.encode({
        "email": f"person{number}@company{number % 5000}.com",
        "name": f"Person {number}",
        "company": f"Company {number % 5000}",
        "fields": {"size": "40 to 400", "role": "head of operations"},
        "activity": {"type": "form_submitted", "asset": f"{run} checklist"},
        "source": {"channel": "paid", "medium": "cpc", "campaign": "winter"},
        "consent": {"marketing_email": {"granted": True, "text": "Send me one mail a month."}},
    })  # fmt: skip


async def post_leads(port: int, seconds: float, connections: int, headers: str, seed: int) -> Measured:
    """Post leads for that long over that many connections; every submission has a key of its own."""
    measured = Measured()
    dice = random.Random(seed)
    began = time.perf_counter()
    await asyncio.gather(
        *(
            _one_connection(port, began + seconds, f"{seed}-{number}", headers, dice, measured)
            for number in range(connections)
        )
    )
    measured.lasted = time.perf_counter() - began
    return measured


async def _one_connection(
    port: int, until: float, name: str, headers: str, dice: random.Random, measured: Measured
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    try:
        while (sent := time.perf_counter()) < until:
            count += 1
            body = lead(dice.randrange(300_000), name)
            head = (
                f"POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nIdempotency-Key: {name}-{count}\r\n{headers}\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(answer))
            if answer.startswith(b"HTTP/1.1 202"):
                measured.seconds.append(time.perf_counter() - sent)
            else:
                measured.refused += 1
    finally:
        writer.close()


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    return int(lowered[at : lowered.index(b"\r\n", at)])
