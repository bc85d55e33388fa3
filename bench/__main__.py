"""`make bench`: ratios against baselines, measured in one run on one machine. Absolute figures are this machine's."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from bench import batches, carrier, growth, to_sales
from bench.footprint import measure
from bench.ingest import compare, median
from deploy.postgres import EmbeddedPostgres


def main() -> None:
    asked = argparse.ArgumentParser(prog="make bench", description=__doc__)
    asked.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    asked.add_argument("--rounds", type=int, default=5, help="turns of each side that count")
    asked.add_argument("--seconds", type=float, default=4, help="length of a turn")
    given = asked.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        asked.error(f"there is no part {', '.join(sorted(unknown))}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    for part in given.parts or PARTS:
        PARTS[part](given.rounds, given.seconds)


def intake(rounds: int, seconds: float) -> None:
    print(f"Durable leads per second, 64 connections, {rounds} turns of {seconds:g} s each")
    with database() as (postgres, dsn):
        asyncio.run(_create(dsn, "naive"))
        found, paced = compare(dsn, postgres.dsn("naive"), rounds, seconds)
    print("\n  median      leads/s   p50 ms   p99 ms  CPU s/1000  flushes/lead  refused")
    for name, turns in found.items():
        print(
            f"  {name:<10} {median(turns, 'per_second'):8.0f} {median(turns, 'p50'):8.1f} {median(turns, 'p99'):8.1f} "
            f"{median(turns, 'cpu'):11.2f} {median(turns, 'flushes'):13.3f} {sum(turn.refused for turn in turns):8d}"
        )
    ratio = median(found["leadline"], "per_second") / median(found["naive"], "per_second")
    print(f"  R2: {ratio:.1f} times the naive app (floor 12, target 25)")
    print(f"  R6: {median(found['leadline'], 'flushes'):.3f} flushes a lead (floor 0.05, target 0.015)")
    for share, measured in paced.items():
        p50, p99 = measured.quantile(0.5) * 1000, measured.quantile(0.99) * 1000
        print(f"  at {share:.0%} of that, open loop: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {p99 / p50:.1f} times")
    print("  R7: at 70 % (floor 6 times and 40 ms, target 3 times and 15 ms)\n")


def facts(rounds: int, seconds: float) -> None:
    print(f"Facts per second by the hundred, {batches.CONNECTIONS} connections, {rounds} turns of {seconds:g} s each")
    with database() as (_, dsn):
        found = batches.compare(dsn, rounds, seconds)
    ours, plain = (statistics.median(found[side]) for side in ("leadline", "inserts"))
    print(f"  leadline {ours:,.0f}, plain inserts {plain:,.0f}")
    print(f"  R5: {ours / plain:.2f} of plain inserts (floor 0.6, target 0.85)\n")


def events(rounds: int, seconds: float) -> None:
    count = round(seconds * 5000)
    print(f"Events per second from the append to the note that they were handled, {rounds} turns of {count:,} each")
    found: dict[str, list[float]] = {side: [] for side in carrier.SIDES}
    with database() as (postgres, dsn):
        for number in range(rounds):
            for side, turns in found.items():
                # The queue that is slower by far is given less, so that its turn lasts about as long.
                mine = count // 10 if side == "procrastinate" else count
                asyncio.run(_create(dsn, f"{side}_{number}"))
                turns.append(asyncio.run(carrier.one_turn(side, postgres.dsn(f"{side}_{number}"), mine)))
                print(f"  {side:<14} {turns[-1]:8,.0f} /s", flush=True)
    ours, *others = (statistics.median(turns) for turns in found.values())
    for side, other in zip([*found][1:], others, strict=True):
        print(f"  R8: {ours / other:.1f} times {side}")
    print("  (floor 1, target 3 times the best of them)\n")


def sales(_rounds: int, seconds: float) -> None:
    print("From the post of a demo request to the worklist and the rep's mail, five services, open loop")
    for found in to_sales.measure(seconds=seconds * 4):
        to_sales.tell(found)
    best = max((one.rate for one in to_sales.highest(seconds=seconds * 2) if one.holds), default=0)
    print(f"  the highest rate with 99 of 100 on a worklist within 400 ms: {best:.0f} a second")
    print("  R18: at 500 a second (floor 100 and 400 ms, target 30 and 100 ms)\n")


def footprint(_rounds: int, _seconds: float) -> None:
    print("Five services and their database")
    found = measure()
    print(f"  first start {found.first_start:.1f} s, later start {found.later_start:.1f} s")
    print(f"  idle: {found.pss:.0f} MB ({found.rss:.0f} MB counting shared memory once per process), ")
    print(f"        {found.processes} processes, {found.idle_cpu * 100:.1f} % of one core")
    print("  R19: floor 500 MB and 6 s, target 300 MB and 2.5 s\n")


def size(rounds: int, _seconds: float) -> None:
    print("What an operation costs as leads become many")
    found = growth.grow(rounds=rounds)
    print("       leads   intake, CPU ms   scoring, CPU ms   worklist, ms   timeline, ms")
    for leads, costs in found.items():
        print(
            f"  {leads:>10,} {costs.intake:16.2f} {costs.scoring:17.2f} {costs.worklist:14.2f} {costs.timeline:14.2f}"
        )
    print("  At a million not more than 1.3 times what it is at a hundred thousand\n")


@contextmanager
def database() -> Generator[tuple[EmbeddedPostgres, str]]:
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", shared_buffers="512MB")
        try:
            yield postgres, postgres.start()
        finally:
            postgres.stop()


async def _create(dsn: str, database: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()


PARTS = {"intake": intake, "facts": facts, "events": events, "sales": sales, "footprint": footprint, "size": size}


if __name__ == "__main__":
    main()
