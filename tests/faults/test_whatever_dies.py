"""Leads come in all the time while, one after the other, everything they pass through dies, stops and comes back.

Part of `make faults`. FAULT_LEADS and FAULTS say how long it runs, FAULT_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from tests.support.audit import audit, heard_everything
from tests.support.harm import Harm
from tests.support.installation import PROJECT, Installation, installation
from tests.support.recount import recount

LEADS = int(os.environ.get("FAULT_LEADS", "200"))
FAULTS = int(os.environ.get("FAULTS", "3"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.randrange(1, 2**31)
PER_SECOND = float(os.environ.get("FAULT_LEADS_PER_SECOND", "60"))
CALLERS = 12
# What may pass from the heal to the first lead that went all the way, for 99 of 100 faults.
RECOVERED = {"service": 15.0, "postgres": 10.0, "kafka": 20.0}


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def carried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Installation, Harm]]:
    with ExitStack() as servers:
        postgres = EmbeddedPostgres(tmp_path / "postgres", shared_buffers="256MB")
        dsn = postgres.start()
        servers.callback(postgres.stop)
        carrier: dict[str, str] = {}
        kafka = None
        if request.param == "kafka":
            kafka = KafkaServer(tmp_path / "kafka")
            carrier = {"KAFKA_BOOTSTRAP_SERVERS": kafka.start(), "KAFKA_TOPIC_PREFIX": f"f{uuid4().hex[:6]}."}
            servers.callback(kafka.stop)
        with installation(tmp_path, dsn, **carrier) as inst:
            for number in range(3):
                inst.post("handover", "/v1/reps", {"name": f"Rep {number}", "email": f"rep{number}@norrvik.com"})
            yield inst, Harm(inst, postgres, kafka, random.Random(SEED))


@pytest.mark.long
@pytest.mark.timeout(0)
def test_nothing_is_lost_doubled_or_disordered(carried: tuple[Installation, Harm], tmp_path: Path) -> None:
    inst, harm = carried
    journal = tmp_path / "journal"
    print(f"\nseed {SEED}: {LEADS} leads at {PER_SECOND:g} a second, {FAULTS} faults", flush=True)
    command = ["-m", "tests.support.journal", str(inst.ports["capture"]), str(journal), str(CALLERS), str(PER_SECOND)]
    callers = subprocess.Popen([sys.executable, *command, str(SEED)], cwd=PROJECT)
    began = time.monotonic()
    try:
        for number in range(FAULTS):
            _wait_for(journal, LEADS * number // FAULTS)
            wound = harm.one_more()
            print(f"  {number + 1:3d} {wound.kind:<26} {wound.what:<24} {wound.recovered:5.1f} s", flush=True)
        _wait_for(journal, LEADS)
    finally:
        callers.terminate()
        callers.wait(60)
    told = [line.split() for line in journal.read_text().splitlines()]
    acknowledged = [UUID(lead) for lead, _ in told] + [UUID(lead) for lead in dict.fromkeys(harm.probes)]
    inst.until(lambda: asyncio.run(_all_mails_left(inst.dsn)), 900)
    inst.until(lambda: asyncio.run(heard_everything(inst.dsn)), 300)
    found = asyncio.run(audit(inst.dsn, acknowledged))
    _report(harm, journal, len(acknowledged), time.monotonic() - began, found.wrong)
    assert found.wrong == []
    assert recount(found.lives).equals(inst.get("insights", "/v1/funnel"))
    demos = {UUID(lead) for lead, kind in told if kind == "demo_requested"}
    assert {found.lives[lead][-1].to for lead in demos} == {"handed_over"}
    assert _too_slow(harm) == []


async def _all_mails_left(dsn: str) -> bool:
    """But for those in the hands of a sender that was killed, of which nobody knows."""
    await asyncio.sleep(1)
    connection = await asyncpg.connect(dsn)
    try:
        due = await connection.fetchval(
            """SELECT (SELECT count(*) FROM nurture.touch WHERE state IN ('planned', 'deferred') AND due_at <= now())
                + (SELECT count(*) FROM handover.mail WHERE state = 'waiting')"""
        )
    finally:
        await connection.close()
    return not due


def _wait_for(journal: Path, leads: int) -> None:
    """Until so many leads are acknowledged."""
    while not journal.exists() or journal.stat().st_size < leads * 40 or _lines(journal) < leads:
        time.sleep(0.2)


def _lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n")


def _of(kind: str) -> str:
    return next((name for name in RECOVERED if name in kind), "service")


def _by_kind(harm: Harm) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for wound in harm.done:
        seconds[_of(wound.kind)].append(wound.recovered)
    return seconds


def _too_slow(harm: Harm) -> list[str]:
    """One fault in a hundred of a kind may take longer."""
    return [
        f"{kind}: {sorted(seconds)[-1]:.1f} s"
        for kind, seconds in _by_kind(harm).items()
        if sorted(seconds)[max(0, int(len(seconds) * 0.99) - 1)] > RECOVERED[kind]
    ]


def _report(harm: Harm, journal: Path, leads: int, seconds: float, wrong: list[str]) -> None:
    errors = Counter(json.loads(journal.with_suffix(".errors").read_text()))
    print(f"  {leads} leads acknowledged, {len(harm.done)} faults, {seconds:.0f} s; wrong: {wrong[:20]}")
    print(f"  asked again after: {dict(errors)}")
    for kind, found in _by_kind(harm).items():
        print(f"  recovered from {kind}: median {statistics.median(found):.1f} s, longest {max(found):.1f} s")
