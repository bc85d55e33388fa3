"""Files of real leads imported as history on both carriers: what it took, and whether they agree lead by lead.

`python -m bench.history leads.csv map.yaml [deals.csv map.yaml ...]` starts an installation on PostgreSQL and one on
real Kafka, imports the files into each, waits until every service has heard everything, and compares them lead by lead.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from tests.support.forked import PROJECT
from tests.support.installation import KEY, Installation, installation

Files = Sequence[tuple[Path, Path]]
HEARERS = ("scoring", "nurture", "handover", "insights")


@dataclass(frozen=True)
class Outcome:
    """`leads` by address: stage, score, number of entries. Seconds: to import, and until all had heard it."""

    words: str
    imported: float
    heard: float
    leads: dict[str, tuple[str, float, int]]
    stage_events: Counter[str]
    funnel: dict[str, int]
    lead_times: dict[str, Any]
    timers: int
    mails: int
    offers: int
    wrong_sums: int


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    asked.add_argument("files", type=Path, nargs="+", metavar="FILE MAP")
    asked.add_argument("--since", default="", help="count the leads that came from this day on, too")
    given = asked.parse_args()
    files = list(zip(given.files[::2], given.files[1::2], strict=True))
    with tempfile.TemporaryDirectory(prefix="leadline-history-") as folder:
        kafka = KafkaServer(Path(folder) / "kafka")
        found = {"PostgreSQL": run(Path(folder) / "on-postgres", files, given.since)}
        bootstrap = kafka.start()
        try:
            found["Kafka"] = run(Path(folder) / "on-kafka", files, given.since, KAFKA_BOOTSTRAP_SERVERS=bootstrap)
        finally:
            kafka.stop()
    for carrier, outcome in found.items():
        tell(carrier, outcome)
    first, second = found.values()
    different = [
        who for who in first.leads.keys() | second.leads.keys() if first.leads.get(who) != second.leads.get(who)
    ]
    print(f"both carriers agree on {len(first.leads) - len(different):,} leads, differ on {len(different):,}")
    sys.exit(1 if different or first.wrong_sums or second.wrong_sums else 0)


def run(folder: Path, files: Files, since: str, **carrier: str) -> Outcome:
    folder.mkdir(parents=True)
    postgres = EmbeddedPostgres(folder / "postgres", shared_buffers="256MB")
    dsn = postgres.start()
    try:
        with installation(folder, dsn, **carrier) as made:
            return asyncio.run(_import(made, files, since))
    finally:
        postgres.stop()


async def _import(made: Installation, files: Files, since: str) -> Outcome:
    began = time.monotonic()
    words = [_import_one(made, file, map_file) for file, map_file in files]
    imported = time.monotonic() - began
    connection = await asyncpg.connect(made.dsn)
    try:
        await until_heard(connection)
        heard = time.monotonic() - began
        return await _outcome(made, connection, "\n".join(words), imported, heard, since)
    finally:
        await connection.close()


def _import_one(made: Installation, file: Path, map_file: Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "import", str(file), "--map", str(map_file), "--write"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": made.dsn, "LEADLINE_API_KEY": KEY, "LEADLINE_DATA_DIR": str(made.data_dir)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


async def until_heard(connection: asyncpg.Connection) -> None:
    """Every activity has its place in every hearer, every stage event in every copy, and nothing is held."""
    while True:
        said = await connection.fetchval("SELECT count(*) FROM bus.capture_log WHERE topic = 'leads.activity'")
        stages = await connection.fetchval(f"SELECT count(*) FROM ({_stage_events()}) s")
        heard = [
            await connection.fetchrow(f"SELECT sum(activity_seq)::bigint, sum(stage_seq)::bigint FROM {name}.standing")
            for name in HEARERS
        ]
        if all(tuple(row) == (said, stages) for row in heard):
            return
        await asyncio.sleep(0.25)


def _stage_events() -> str:
    return " UNION ALL ".join(
        f"SELECT body FROM bus.{name}_log WHERE topic = 'leads.stage'" for name in ("capture", "scoring", "handover")
    )


async def _outcome(
    made: Installation, connection: asyncpg.Connection, said: str, imported: float, heard: float, since: str
) -> Outcome:
    rows = await connection.fetch(
        """SELECT l.lead_id, s.stage, (l.body::jsonb -> 'contact_points' -> 0 ->> 'value') AS who
           FROM capture.lead l JOIN scoring.standing s USING (lead_id)"""
    )
    leads: dict[str, tuple[str, float, int]] = {}
    wrong = 0
    with made.api("scoring") as scoring:
        for row in rows:
            score: dict[str, Any] = scoring.get(f"/v1/leads/{row['lead_id']}/score").json()
            leads[row["who"]] = (row["stage"], score["score"], len(score["entries"]))
            wrong += round(sum(entry["points"] for entry in score["entries"]), 1) != score["score"]
    events = await connection.fetch(
        f"SELECT body::jsonb ->> 'to' AS to, count(*) FROM ({_stage_events()}) s GROUP BY 1"
    )
    funnel = made.get("insights", "/v1/funnel")
    return Outcome(
        words="\n".join(line for line in said.splitlines() if line.strip() and "━" not in line),
        imported=imported,
        heard=heard,
        leads=leads,
        stage_events=Counter({row["to"]: row["count"] for row in events}),
        funnel={stage["stage"]: stage["now"] for stage in funnel["stages"]},
        lead_times={
            day or "ever": made.get("insights", "/v1/lead-times", **({"from": day} if day else {}))
            for day in dict.fromkeys(["", since])
        },
        timers=sum([await connection.fetchval(f"SELECT count(*) FROM {name}.timer") for name in HEARERS]),
        mails=len(list(made.data_dir.rglob("*.eml"))),
        offers=await connection.fetchval("SELECT count(*) FROM bus.handover_log WHERE topic = 'leads.handover'"),
        wrong_sums=wrong,
    )


def tell(carrier: str, outcome: Outcome) -> None:
    print(f"\n{carrier}\n{outcome.words}")
    print(f"imported in {outcome.imported:.1f} s, heard by all after {outcome.heard:.1f} s")
    print(f"stage events: {dict(outcome.stage_events)}")
    print(f"now in each stage: {outcome.funnel}")
    for since, times in outcome.lead_times.items():
        print(f"leads since {since}, customers, and days to the purchase:")
        for one in [times["total"], *times["groups"]]:
            share = f"{one['conversion']:.1%}"
            print(f"  {one['key'] or '-':<20} {one['leads']:>6} {one['customers']:>6} {share} {one['days']}")
    print(f"timers {outcome.timers}, mails {outcome.mails}, offers {outcome.offers}")
    print(f"scores that are not their entries: {outcome.wrong_sums}")


if __name__ == "__main__":
    main()
