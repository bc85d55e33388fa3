"""What keeps promises is taken out of the code, one piece at a time; a test that we have must notice each.

Part of `make faults`: every mutant is a copy of the project with one text changed, and a run of the test that kills it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.forked import PROJECT

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Mutant:
    """`killed_by`: test file, and the part of a test's name. `harm` is what its survival would do."""

    harm: str
    file: str
    sound: str
    broken: str
    killed_by: tuple[str, str]


MUTANTS = [
    Mutant(
        "events appended without the lock of their lanes: readers skip some",
        "shared/log.py",
        "SELECT pg_advisory_xact_lock($9, lane) FROM unnest($10::int[]) lane",
        "SELECT lane FROM unnest($10::int[]) lane WHERE $9::int > 0",
        ("tests/contract/test_log.py", "killed"),
    ),
    Mutant(
        "positions sealed before the effects of a batch: a kill loses them",
        "shared/bus/postgres.py",
        "await self.consumer.take(stored, lambda inner: self.seal(inner, stored, drained_at))",
        "await self.seal(connection, stored, drained_at); await self.consumer.take(stored)",
        ("tests/contract/test_bus.py", "twenty_kills and postgres"),
    ),
    Mutant(
        "the relay goes on before Kafka has acknowledged",
        "shared/bus/kafka.py",
        "        await self._publish(stored)\n        await self.seal(connection, stored, drained_at)",
        "        await self.seal(connection, stored, drained_at)\n        await self._publish(stored)",
        ("tests/contract/test_bus.py", "twenty_kills and kafka"),
    ),
    Mutant(
        "an event that was heard is applied again",
        "shared/lifecycle.py",
        'if event_seq <= stage_seq:\n        return "repeat"',
        'if event_seq < stage_seq:\n        return "repeat"',
        ("tests/contract/test_consumer.py", "delay_repetition"),
    ),
    Mutant(
        "an event that comes too early is applied at once",
        "shared/lifecycle.py",
        'return "apply" if event_seq == stage_seq + 1 else "gap"',
        'return "apply"',
        ("tests/contract/test_bus.py", "too_early and postgres"),
    ),
    Mutant(
        "two who decide on a lead at the same moment both go by what it was before",
        "shared/leads.py",
        "WHERE lead_id = ANY($1) ORDER BY lead_id FOR UPDATE",
        "WHERE lead_id = ANY($1) ORDER BY lead_id",
        ("tests/contract/test_consumer.py", "same_moment"),
    ),
    Mutant(
        "a lead is moved by a service that does not own it",
        "shared/lifecycle.py",
        "if by != (rightful := owner(stage, before)):",
        "if by != (rightful := owner(stage, before)) and not by:",
        ("tests/unit/shared/test_lifecycle.py", "by_the_owner"),
    ),
    Mutant(
        "timers fire by the wall clock, before all is heard",
        "shared/timers.py",
        "marks = dict(self.marks)",
        "marks = dict.fromkeys(self.marks, self.leads.clock.now())",
        ("tests/contract/test_consumer.py", "a_timer_waits"),
    ),
    Mutant(
        "a mail is claimed whether or not its reader has unsubscribed",
        "services/nurture/claims.py",
        "AND NOT EXISTS (SELECT FROM nurture.suppression x WHERE",
        "AND NOT EXISTS (SELECT FROM nurture.suppression x WHERE false AND",
        ("tests/integration/nurture/test_claims.py", "may_not_be_sent"),
    ),
    Mutant(
        "a mail is claimed without a consent",
        "services/nurture/claims.py",
        "AND coalesce((p.consents -> t.purpose ->> 'granted')::boolean, false)",
        "AND true",
        ("tests/integration/nurture/test_claims.py", "may_not_be_sent"),
    ),
    Mutant(
        "two senders may claim one mail",
        "services/nurture/claims.py",
        "FOR UPDATE OF t, p SKIP LOCKED",
        "",
        ("tests/integration/nurture/test_claims.py", "another_sender"),
    ),
    Mutant(
        "an answer kept by another process is overwritten: one key, two leads",
        "services/capture/repeatable.py",
        "if int(done.split()[-1]) < len(answers):\n        raise Outrun",
        "if int(done.split()[-1]) < 0:\n        raise Outrun",
        ("tests/integration/capture/test_many_at_once.py", "while_its_key_was_being_claimed"),
    ),
    Mutant(
        "a submission is acknowledged before it is committed",
        "services/capture/intake.py",
        "            verdicts = await accept(self._leads, connection, [w.ask for w in batch], now, again=again)\n",
        "            verdicts = await accept(self._leads, connection, [w.ask for w in batch], now, again=again)\n"
        "            for waiting, verdict in zip(batch, verdicts, strict=True):\n"
        "                self._answer(waiting, verdict)\n",
        ("tests/integration/capture/test_trouble.py", "whose_answer_is_lost or hangs or refuses"),
    ),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as it lies here, with the same packages."""
    for name in ("services", "shared", "deploy", "tests", "bench", "docs"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.harm)
def test_a_test_notices_that(copy: Path, mutant: Mutant) -> None:
    file = copy / mutant.file
    sound = file.read_text()
    assert sound.count(mutant.sound) == 1, f"{mutant.file} has changed: give this mutant its new text"
    file.write_text(sound.replace(mutant.sound, mutant.broken))
    where, which = mutant.killed_by
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", where, "-k", which, "-p", "no:cacheprovider"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, f"it survived:\n{run.stdout[-3000:]}\n{run.stderr[-1000:]}"
    assert " failed" in run.stdout
