"""`make bench`: ratios against baselines, measured in one run on one machine. Absolute figures are this machine's."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import platform
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from bench import batches, budget, carrier, growth, hearing, report, to_sales
from bench.footprint import measure
from bench.ingest import Round, compare, median
from bench.load import quantile
from deploy.postgres import EmbeddedPostgres


def main() -> None:
    asked = argparse.ArgumentParser(prog="make bench", description=__doc__)
    asked.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    asked.add_argument("--rounds", type=int, default=5, help="turns of each side that count")
    asked.add_argument("--seconds", type=float, default=4, help="length of a turn")
    asked.add_argument("--into", type=Path, default=Path("build/bench"), help="where figures and pictures are kept")
    given = asked.parse_args()
    # So that a server that was started is stopped, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if unknown := set(given.parts) - PARTS.keys():
        asked.error(f"there is no part {', '.join(sorted(unknown))}")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}\n")
    for part in given.parts or PARTS:
        words, measured = PARTS[part]
        print(words)
        began = time.monotonic()
        figures = measured(given.rounds, given.seconds)
        report.keep(given.into, part, machine, figures, time.monotonic() - began)
        kept = report.read(given.into)
        for name, (of, _) in report.TABLES.items():
            if of == part:
                print(f"\n{report.table(name, kept)}", flush=True)
    print(report.table("summary", report.read(given.into)))
    report.write(given.into)
    took = ", ".join(f"{part} {report.read(given.into)[part]['took']}" for part in given.parts or PARTS)
    print(f"Seconds that the parts took: {took}")
    print(f"Figures and pictures are in {given.into}")


def intake(rounds: int, seconds: float) -> report.Figures:
    with database() as (postgres, dsn):
        asyncio.run(_create(dsn, "naive"))
        found, paced = compare(dsn, postgres.dsn("naive"), rounds, seconds)
    sides = {name: {field.name: median(turns, field.name) for field in _FIELDS} for name, turns in found.items()}
    shares = [
        {"share": share, "p50": measured.quantile(0.5) * 1000, "p99": measured.quantile(0.99) * 1000}
        for share, measured in paced.items()
    ]
    return {**sides, "shares": shares}


def facts(rounds: int, seconds: float) -> report.Figures:
    with database() as (_, dsn):
        found = batches.compare(dsn, rounds, seconds)
    return {side: statistics.median(turns) for side, turns in found.items()}


def events(rounds: int, seconds: float) -> report.Figures:
    count = round(seconds * 5000)
    found: dict[str, list[float]] = {side: [] for side in carrier.SIDES}
    with database() as (postgres, dsn):
        for number in range(rounds):
            for side, turns in found.items():
                # The queue that is slower by far is given less, so that its turn lasts about as long.
                mine = count // 10 if side == "procrastinate" else count
                asyncio.run(_create(dsn, f"{side}_{number}"))
                turns.append(asyncio.run(carrier.one_turn(side, postgres.dsn(f"{side}_{number}"), mine)))
                print(f"  {side:<14} {turns[-1]:8,.0f} /s", flush=True)
    return {side: statistics.median(turns) for side, turns in found.items()}


def heard(rounds: int, seconds: float) -> report.Figures:
    with hearing.ground() as at:
        found = hearing.compare(at, round(seconds * 5000), rounds)
    return {side: dataclasses.asdict(hearing.median(turns)) for side, turns in found.items()}


def consumers(rounds: int, seconds: float) -> report.Figures:
    with hearing.ground() as at:
        found = hearing.share(at, round(seconds * 5000), rounds)
    return {str(count): dataclasses.asdict(hearing.median(turns)) for count, turns in found.items()}


def sales(_rounds: int, seconds: float) -> report.Figures:
    rates: list[report.Figures] = []
    for found in to_sales.measure(seconds=seconds * 4):
        to_sales.tell(found)
        waits = {"answered": found.answered, "worklist": found.offered, "mailed": found.mailed}
        cpu = {part: worked / max(len(found.answered), 1) * 1000 for part, worked in found.cpu.items()}
        quantiles = {what: [quantile(some, 0.5), quantile(some, 0.99)] for what, some in waits.items()}
        rates.append({"rate": found.rate, "missing": found.missing, **quantiles, "cpu": cpu})
    best = max((one.rate for one in to_sales.highest(seconds=seconds * 2) if one.holds), default=0.0)
    return {"rates": rates, "highest": best}


def budgets(_rounds: int, seconds: float) -> report.Figures:
    found: dict[str, object] = {"hearers": budget.hearers()}
    for name, on_kafka in (("PostgreSQL", False), ("Kafka", True)):
        print(f"  on {name}", flush=True)
        kinds, idle = budget.measure(on_kafka, seconds * 2.5)
        budget.tell(kinds, idle)
        found[name] = {"kinds": {one.kind: dataclasses.asdict(one) for one in kinds}, "idle": idle}
    return found


def footprint(_rounds: int, _seconds: float) -> report.Figures:
    return dataclasses.asdict(measure())


def size(rounds: int, _seconds: float) -> report.Figures:
    return {str(leads): dataclasses.asdict(costs) for leads, costs in growth.grow(rounds=rounds).items()}


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


_FIELDS = dataclasses.fields(Round)
PARTS: dict[str, tuple[str, Callable[[int, float], report.Figures]]] = {
    "intake": ("Durable leads per second, 64 connections", intake),
    "facts": (f"Facts per second by the hundred, {batches.CONNECTIONS} connections", facts),
    "events": ("Events per second from the append to the note that they were handled", events),
    "hearing": ("Events per second from Kafka, scored and committed", heard),
    "consumers": ("The same by several consumers of one service", consumers),
    "sales": ("From the post of a demo request to the worklist and the rep's mail, five services, open loop", sales),
    "budget": ("What a lead costs, and where it goes", budgets),
    "footprint": ("Five services and their database", footprint),
    "size": ("What an operation costs as leads become many", size),
}


if __name__ == "__main__":
    main()
