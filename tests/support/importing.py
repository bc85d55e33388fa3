"""`leadline import` as a process of its own, which can be killed at any moment, and what it has made of its file."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg

from shared.events.codec import decode
from shared.events.envelope import Envelope
from shared.events.stage import StageChanged
from tests.support.audit import stored_of
from tests.support.forked import PROJECT, Forked, fork
from tests.support.installation import KEY

MAP = PROJECT / "docs" / "examples" / "x-education-map.yaml"


def some_real_leads(shared_data: Path, folder: Path, count: int) -> Path:
    """The first rows of a public file of real leads. Every tenth has lost its id, and cannot be taken without one."""
    path = folder / "leads.csv"
    with (shared_data / "x-education" / "leads.csv").open(encoding="utf-8", newline="") as whole:
        lines = list(islice(whole, count + 1))
    kept = [line if number % 10 else "," + line.partition(",")[2] for number, line in enumerate(lines)]
    path.write_text("".join([lines[0], *kept[1:]]), encoding="utf-8", newline="")
    return path


def start_import(dsn: str, file: Path, **environment: str) -> Forked:
    command = ("deploy.cli", "import", str(file), "--map", str(MAP), "--write")
    settings = {"DATABASE_URL": dsn, "LEADLINE_API_KEY": KEY, "LEADLINE_DATA_DIR": str(file.parent / "data")}
    with _said(file).open("wb") as output:
        return fork(*command, env=os.environ | settings | environment, output=output)


def ended(process: Forked, file: Path) -> str:
    """What it said, once it has ended with rows that it could not take, and nothing worse."""
    process.wait(120)
    said = _said(file).read_text()
    assert process.returncode == 1, said
    return said


def _said(file: Path) -> Path:
    return file.with_suffix(".log")


def killed_by_and_by(dsn: str, file: Path, *, kills: int, seed: int, **environment: str) -> tuple[str, list[int]]:
    """Import with kill -9 at seeded moments after some progress of each try; answers the last try's report, and how
    many rows were done at each kill."""
    dice, done = random.Random(seed), list[int]()
    for _ in range(kills):
        before = asyncio.run(standing(dsn))
        process = start_import(dsn, file, **environment)
        while process.poll() is None and asyncio.run(standing(dsn)) == before:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.15)
        process.kill()
        process.wait()
        done.append(asyncio.run(standing(dsn))[0])
        if process.returncode != -9 or not asyncio.run(under_way(dsn)):
            raise AssertionError(f"it was through before it was killed; {done} rows were done")
    return ended(start_import(dsn, file, **environment), file), done


async def standing(dsn: str) -> tuple[int, int]:
    """How many rows have been done in all imports, and of how many leads it is not settled what they are worth."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            """SELECT coalesce(sum((report::jsonb ->> 'new')::int + (report::jsonb ->> 'merged')::int
                    + (report::jsonb ->> 'repeated')::int + (report::jsonb ->> 'quarantined')::int), 0) AS done,
                (SELECT count(*) FROM capture.import_lead) AS unjudged
               FROM capture.import_run"""
        )
    finally:
        await connection.close()
    assert row is not None
    return row["done"], row["unjudged"]


async def under_way(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(
            await connection.fetchval("SELECT EXISTS (SELECT FROM capture.import_run WHERE finished_at IS NULL)")
        )
    finally:
        await connection.close()


def numbers(report: str) -> dict[str, int]:
    """`{"new leads": 2700, "rows": 3000}` of the lines of a report."""
    found = re.findall(r"^ *([\d,]+) (new leads|merged|taken before|quarantined|rows|activities|of them)", report, re.M)
    return {words: int(number.replace(",", "")) for number, words in found}


async def imported(dsn: str) -> Counter[tuple[Any, ...]]:
    """Each lead by its address, with its card, its facts in their order, and the stages it came through."""
    connection = await asyncpg.connect(dsn)
    try:
        leads = await connection.fetch(
            "SELECT k.key, l.* FROM capture.identity k JOIN bus.card l USING (lead_id) WHERE k.key LIKE 'e:%'"
        )
        rows = await connection.fetch("SELECT * FROM bus.capture_log ORDER BY lead_id, topic, seq, pos")
    finally:
        await connection.close()
    told: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        if row["topic"] in ("leads.activity", "leads.stage"):
            told.setdefault(row["lead_id"], []).append(_told(decode(stored_of(row))))
    assert len(told) == len(leads)
    return Counter(
        (lead["key"], lead["version"], _timeless(json.loads(lead["body"])), tuple(told[lead["lead_id"]]))
        for lead in leads
    )


def _timeless(card: Any) -> str:
    """Without its times: facts of this file happen when its import begins."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: bare(inner)
                for name, inner in sorted(value.items())
                if name not in ("at", "created_at", "updated_at")
            }
        return value

    return json.dumps(bare(card))


def _told(event: Envelope[Any]) -> tuple[Any, ...]:
    data = event.data
    what = (data.to, data.reason) if isinstance(data, StageChanged) else (data.activity, data.value, data.judge)
    return (event.seq, event.attributes.history, *what)
