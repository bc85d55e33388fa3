"""R2: durable leads per second, against the app one writes first; same server, same settings, in turns."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
import psutil

from bench.load import Measured, post_at, post_leads
from tests.support.installation import free_ports

KEY = "lk_bench"
CONNECTIONS = 64
SHARES = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Round:
    """One turn of one side. CPU is that of the app's process, in seconds per 1,000 leads; flushes those of the WAL."""

    per_second: float
    p50: float
    p99: float
    cpu: float
    flushes: float
    refused: int


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Generator[psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


async def one_round(dsn: str, app: psutil.Process, port: int, seconds: float, headers: str, seed: int) -> Round:
    connection = await asyncpg.connect(dsn)
    try:
        flushes, cpu = await _flushes(connection), _cpu(app)
        measured = await post_leads(port, seconds, CONNECTIONS, headers, seed)
        return _round(measured, _cpu(app) - cpu, await _flushes(connection) - flushes)
    finally:
        await connection.close()


def _round(measured: Measured, cpu: float, flushes: int) -> Round:
    count = max(len(measured.seconds), 1)
    return Round(
        per_second=measured.per_second,
        p50=measured.quantile(0.5) * 1000,
        p99=measured.quantile(0.99) * 1000,
        cpu=cpu / count * 1000,
        flushes=flushes / count,
        refused=measured.refused,
    )


async def _flushes(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'") or 0)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def compare(
    dsn: str, naive_dsn: str, rounds: int, seconds: float
) -> tuple[dict[str, list[Round]], dict[float, Measured]]:
    """Both apps run all the time, one under load at a time, in turns; the first turn of each only warms it up.

    Then ours alone at shares of the rate it was found to reach, open loop.
    """
    ours, naive = free_ports(2)
    found: dict[str, list[Round]] = {"leadline": [], "naive": []}
    capture = {"DATABASE_URL": dsn, "LEADLINE_API_KEY": KEY, "CAPTURE_PORT": str(ours), "CAPTURE_DEMO_SITE": "on"}
    with (
        running(["services.capture", "api"], ours, capture) as app,
        running(["bench.naive"], naive, {"DATABASE_URL": naive_dsn, "PORT": str(naive)}) as baseline,
    ):
        for number in range(rounds + 1):
            for name, process, port, where, headers in (
                ("leadline", app, ours, dsn, "X-Site-Key: pk_demo\r\n"),
                ("naive", baseline, naive, naive_dsn, ""),
            ):
                turn = asyncio.run(one_round(where, process, port, seconds, headers, seed=number * 7 + 1))
                if number:
                    found[name].append(turn)
                print(
                    f"  {name:<9} {turn.per_second:8.0f} /s   p50 {turn.p50:6.1f} ms   p99 {turn.p99:6.1f} ms",
                    flush=True,
                )
        reached = median(found["leadline"], "per_second")
        paced = {
            share: asyncio.run(post_at(ours, reached * share, seconds * 3, "X-Site-Key: pk_demo\r\n", seed=number))
            for number, share in enumerate(SHARES, start=1)
        }
    return found, paced


def median(rounds: list[Round], what: str) -> float:
    return statistics.median(getattr(one, what) for one in rounds)
