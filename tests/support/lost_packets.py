"""What it costs when connections to PostgreSQL die without a word, as after a failover: packets really get lost.

`unshare --net python -m tests.support.lost_packets FOLDER`, as root: in a network of its own, with a server of its own.
Its last line says how many seconds after the network was well again capture stored and a hearer had heard everything.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil

from deploy.postgres import PORT, EmbeddedPostgres
from shared.clock import uuid7
from tests.support.capturing import Capturing, capturing
from tests.support.line import Line, Verdict, verdict
from tests.support.toys import SPEAKER, make_tables, speak, toy


def command(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


def lose(flag: str, *match: object) -> None:
    """Begin (`-I`) or cease (`-D`) to lose every packet that the rule matches."""
    command("iptables", flag, "INPUT", "-p", "tcp", *match, "-j", "DROP")


def lose_all(flag: str) -> None:
    for end in ("--dport", "--sport"):
        lose(flag, end, PORT)


def fail_over() -> None:
    """What was connected until now stays lost; whoever comes anew is let in."""
    for connection in psutil.net_connections("tcp4"):
        if connection.raddr and connection.raddr.port == PORT:
            lose("-I", "--sport", connection.laddr.port)
            lose("-I", "--dport", connection.laddr.port)
    lose_all("-D")


async def reachable_by_tcp(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.start())
    await connection.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
    rules = Path(await connection.fetchval("SHOW hba_file"))
    await connection.close()
    server.stop()
    rules.write_text(rules.read_text().replace("reject", "trust"))
    server.start()


async def database(server: EmbeddedPostgres, name: str) -> tuple[str, str]:
    """Of a new one the address by its socket file, and that by TCP."""
    connection = await asyncpg.connect(server.dsn())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.dsn(name), f"postgresql://{urlsplit(server.dsn()).username}@127.0.0.1:{PORT}/{name}"


async def stored(capture: Capturing, number: int) -> bool:
    posts = (capture.post(email=f"p{number}.{n}@norrvik.example") for n in range(10))
    codes = {answer.status_code for answer in await asyncio.gather(*posts)}
    assert codes <= {202, 503}, codes
    return codes == {202}


async def capture_after(server: EmbeddedPostgres, seconds: float) -> float:
    """All its connections are lost for that long, while it is asked; answers after how many seconds it stores again."""
    _, dsn = await database(server, f"capture_{seconds:.0f}")
    async with capturing(dsn) as capture:
        assert await stored(capture, 0)
        lose_all("-I")
        began, number = time.monotonic(), 1
        while time.monotonic() - began < seconds:
            assert not await stored(capture, number)
            number += 1
        fail_over()
        began = time.monotonic()
        while not await stored(capture, number):
            number += 1
            assert time.monotonic() - began < 60
        return time.monotonic() - began


async def hearer_after(server: EmbeddedPostgres, seconds: float) -> float:
    by_file, dsn = await database(server, "hearer")
    await make_tables(by_file)
    line, leads, speaker = Line(by_file, None, ""), [uuid7() for _ in range(50)], toy(SPEAKER, by_file)
    try:
        async with speaker.running(()):
            await speaker.prepared.wait()
            line.start("hear", TOY_DSN=dsn)
            await speak(speaker, leads)
            await line.until_all_heard()
            lose_all("-I")
            await speak(speaker, leads)
            await asyncio.sleep(seconds)
            fail_over()
            began = time.monotonic()
            await line.until_all_heard()
            took = time.monotonic() - began
        assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=50 * 4)
    finally:
        line.stop()
    return took


async def measure(folder: Path) -> dict[str, float]:
    command("ip", "link", "set", "lo", "up")
    server = EmbeddedPostgres(folder / "postgres")
    try:
        await reachable_by_tcp(server)
        return {
            "capture, after 0 s": await capture_after(server, 0),
            "capture, after 3 s": await capture_after(server, 3),
            "hearer, after 3 s": await hearer_after(server, 3),
        }
    finally:
        server.stop()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
