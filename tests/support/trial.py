"""One trial of an installation: callers post leads, faults come one after the other, and at the end all is compared."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from services.handover.mailer import CLAIMED_AT_ONCE
from shared.mail import CONNECTIONS
from tests.support.audit import audit, heard_everything
from tests.support.forked import PROJECT
from tests.support.harm import Harm
from tests.support.recount import recount

CALLERS = 12
_OFFER_MAILS = "SELECT offer_id, state FROM handover.mail"
# What may pass from the heal to the first lead that went all the way, for 99 of 100 faults.
RECOVERED = {"service": 15.0, "postgres": 10.0, "kafka": 20.0, "mail": 15.0}


@dataclass(frozen=True)
class Trial:
    """`earlier` are leads that were there before."""

    harm: Harm
    journal: Path
    seed: int
    leads: int
    faults: int
    per_second: float
    earlier: Sequence[UUID] = ()

    def run(self) -> None:
        """Prints what it does; raises `AssertionError` when something was lost, doubled, disordered or too slow."""
        print(
            f"\nseed {self.seed}: {self.leads} leads at {self.per_second:g} a second, {self.faults} faults", flush=True
        )
        began = time.monotonic()
        self._call_and_harm()
        told = [line.split() for line in self.journal.read_text().splitlines()]
        probes = [UUID(lead) for lead in dict.fromkeys(self.harm.probes)]
        acknowledged = [*self.earlier, *(UUID(lead) for lead, _ in told), *probes]
        inst = self.harm.inst
        # What is heard last may still plan a mail, and what was mailed is heard in its turn.
        inst.until(lambda: asyncio.run(heard_everything(inst.dsn)), 300)
        inst.until(lambda: asyncio.run(_all_mails_left(inst.dsn)), 900)
        inst.until(lambda: asyncio.run(heard_everything(inst.dsn)), 300)
        found = asyncio.run(audit(inst.dsn, acknowledged))
        if self.harm.mails is not None:
            found.wrong += asyncio.run(_check_mails(inst.dsn, self.harm.mails.taken(), len(self.harm.done)))
        self._report(len(acknowledged), time.monotonic() - began, found.wrong)
        assert found.wrong == []
        assert recount(found.lives).equals(inst.get("insights", "/v1/funnel"))
        demos = {UUID(lead) for lead, kind in told if kind == "demo_requested"}
        assert {found.lives[lead][-1].to for lead in demos} == {"handed_over"}

    def _call_and_harm(self) -> None:
        callers = [str(self.harm.inst.ports["capture"]), str(self.journal), str(CALLERS), str(self.per_second)]
        command = [sys.executable, "-m", "tests.support.journal", *callers, str(self.seed)]
        calling = subprocess.Popen(command, cwd=PROJECT)
        try:
            for number in range(self.faults):
                self._wait_for(self.leads * number // self.faults)
                wound = self.harm.one_more()
                print(f"  {number + 1:3d} {wound.kind:<26} {wound.what:<24} {wound.recovered:5.1f} s", flush=True)
            self._wait_for(self.leads)
        finally:
            calling.terminate()
            calling.wait(60)

    def _wait_for(self, leads: int) -> None:
        """Until so many leads are acknowledged."""
        while not self.journal.exists() or self.journal.read_bytes().count(b"\n") < leads:
            time.sleep(0.2)

    def too_slow(self) -> list[str]:
        """One fault in a hundred of a kind may take longer."""
        return [
            f"{kind}: {sorted(seconds)[-1]:.1f} s"
            for kind, seconds in self._by_kind().items()
            if sorted(seconds)[max(0, int(len(seconds) * 0.99) - 1)] > RECOVERED[kind]
        ]

    def _by_kind(self) -> dict[str, list[float]]:
        seconds: dict[str, list[float]] = defaultdict(list)
        for wound in self.harm.done:
            seconds[next((name for name in RECOVERED if name in wound.kind), "service")].append(wound.recovered)
        return seconds

    def _report(self, leads: int, seconds: float, wrong: list[str]) -> None:
        errors = Counter(json.loads(self.journal.with_suffix(".errors").read_text()))
        print(f"  {leads} leads acknowledged, {len(self.harm.done)} faults, {seconds:.0f} s; wrong: {wrong[:20]}")
        print(f"  asked again after: {dict(errors)}")
        for kind, found in self._by_kind().items():
            print(f"  recovered from {kind}: median {statistics.median(found):.1f} s, longest {max(found):.1f} s")


async def _check_mails(dsn: str, taken: Counter[str], faults: int) -> list[str]:
    """What the mail server took, beside what nurture and handover know of it; says what is wrong.

    A journey's mail leaves once: one of which nobody can know stays in doubt. An offer's is sent again. Whoever is
    killed has only so many in hand.
    """
    connection = await asyncpg.connect(dsn)
    try:
        states = {row["message_id"]: row["state"] for row in await connection.fetch("SELECT * FROM nurture.touch")}
        offers = {f"offer-{row['offer_id']}": row["state"] for row in await connection.fetch(_OFFER_MAILS)}
    finally:
        await connection.close()
    told = Counter({name.partition("@")[0] if name.startswith("offer-") else name: taken[name] for name in taken})
    doubt = [name for name, state in states.items() if state in ("unknown", "claimed")]
    again = [name for name in offers if told[name] > 1]
    of_journeys, of_offers = (sum(told[name] for name in names) for names in (states, offers))
    print(f"  mails taken: {of_journeys} of journeys, {of_offers} of offers; in doubt {len(doubt)}, again {len(again)}")
    expected = {
        "journeys' mails were taken twice": not [name for name in states if told[name] > 1],
        "mails count as sent and were not taken": all(
            told[name] for name, state in [*states.items(), *offers.items()] if state == "sent"
        ),
        "mails were taken of which nobody knows": not told.keys() - states.keys() - offers.keys(),
        "a journey's mail was taken and may leave again": not [
            name for name, state in states.items() if told[name] and state not in ("sent", "unknown", "claimed")
        ],
        "more mails are in doubt than anybody had in hand": len(doubt) <= CONNECTIONS * faults,
        "more offers were mailed again than anybody had in hand": len(again) <= CLAIMED_AT_ONCE * faults,
    }
    return [otherwise for otherwise, holds in expected.items() if not holds]


async def _all_mails_left(dsn: str) -> bool:
    """But for those in the hands of a sender that was killed, of which nobody knows."""
    await asyncio.sleep(0.5)
    connection = await asyncpg.connect(dsn)
    try:
        due = await connection.fetchval(
            """SELECT (SELECT count(*) FROM nurture.touch WHERE state IN ('planned', 'deferred') AND due_at <= now())
                + (SELECT count(*) FROM nurture.timer WHERE due_at <= now())
                + (SELECT count(*) FROM handover.mail WHERE state = 'waiting')"""
        )
    finally:
        await connection.close()
    return not due
