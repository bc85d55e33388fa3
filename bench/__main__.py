"""`make bench`: ratios against baselines, measured in one run on one machine. Absolute figures are this machine's."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from pathlib import Path

import asyncpg

from bench.footprint import measure
from bench.ingest import compare, median
from deploy.postgres import EmbeddedPostgres


def main() -> None:
    asked = argparse.ArgumentParser(prog="make bench", description=__doc__)
    asked.add_argument("--rounds", type=int, default=5, help="turns of each side that count")
    asked.add_argument("--seconds", type=float, default=4, help="length of a turn")
    given = asked.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    ingest(given.rounds, given.seconds)
    footprint()


def ingest(rounds: int, seconds: float) -> None:
    print(f"Durable leads per second, 64 connections, {rounds} turns of {seconds:g} s each")
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="512MB")
        dsn = postgres.start()
        try:
            asyncio.run(_create(dsn, "naive"))
            found = compare(dsn, postgres.dsn("naive"), rounds, seconds)
        finally:
            postgres.stop()
    print("\n  median      leads/s   p50 ms   p99 ms  CPU s/1000  flushes/lead  refused")
    for name, turns in found.items():
        print(
            f"  {name:<10} {median(turns, 'per_second'):8.0f} {median(turns, 'p50'):8.1f} {median(turns, 'p99'):8.1f} "
            f"{median(turns, 'cpu'):11.2f} {median(turns, 'flushes'):13.3f} {sum(turn.refused for turn in turns):8d}"
        )
    ratio = median(found["leadline"], "per_second") / median(found["naive"], "per_second")
    print(f"  R2: {ratio:.1f} times the naive app (floor 12, target 25)\n")


async def _create(dsn: str, database: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()


def footprint() -> None:
    print("Five services and their database")
    found = measure()
    print(f"  first start {found.first_start:.1f} s, later start {found.later_start:.1f} s")
    print(f"  idle: {found.pss:.0f} MB ({found.rss:.0f} MB counting shared memory once per process), ")
    print(f"        {found.processes} processes, {found.idle_cpu * 100:.1f} % of one core")
    print("  R19: floor 500 MB and 6 s, target 300 MB and 2.5 s")


if __name__ == "__main__":
    main()
