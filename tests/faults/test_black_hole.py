"""A network that swallows everything on the way to PostgreSQL: nobody waits without end, and nobody is told a lie."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from shared.clock import uuid7
from tests.support.capturing import Capturing, capturing
from tests.support.forked import PROJECT
from tests.support.line import Line, Verdict, verdict
from tests.support.servers import Databases
from tests.support.toys import SPEAKER, speak, toy
from tests.support.way import by, to_postgres, way_to

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


async def _posts(capture: Capturing, round_: int) -> tuple[set[int], float]:
    began = time.monotonic()
    answers = await asyncio.gather(*(capture.post(email=f"p{round_}.{n}@norrvik.example") for n in range(10)))
    return {answer.status_code for answer in answers}, time.monotonic() - began


@pytest.mark.parametrize("lose", [False, True], ids=["held up", "lost"])
async def test_capture_says_503_in_time_and_202_again_soon_after(fresh_database: Databases, lose: bool) -> None:
    dsn = fresh_database()
    async with way_to(to_postgres(dsn)) as way, capturing(by(way, dsn)) as capture:
        assert (await _posts(capture, 0))[0] == {202}
        way.block()
        for number in range(3):
            codes, seconds = await _posts(capture, number + 1)
            assert codes == {503}
            assert seconds < 1.5
        way.unblock(lose=lose)
        began = time.monotonic()
        number = 10
        while (await _posts(capture, number))[0] != {202}:
            number += 1
            assert time.monotonic() - began < 20
        print(f"  {'lost' if lose else 'held up'}: all were answered 202 again after {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize("lose", [False, True], ids=["held up", "lost"])
async def test_a_hearer_waits_holds_nothing_back_and_goes_on(toy_dsn: str, lose: bool) -> None:
    line, leads = Line(toy_dsn, None, ""), [uuid7() for _ in range(50)]
    speaker = toy(SPEAKER, toy_dsn)
    try:
        async with way_to(to_postgres(toy_dsn)) as way, speaker.running(()):
            await speaker.prepared.wait()
            hearer = line.start("hear", TOY_DSN=by(way, toy_dsn))
            await speak(speaker, leads)
            await line.until_all_heard()
            way.block()
            for _ in range(4):
                await speak(speaker, leads)
                await asyncio.sleep(1)
            way.unblock(lose=lose)
            began = time.monotonic()
            await line.until_all_heard()
            print(f"  {'lost' if lose else 'held up'}: everything was heard after {time.monotonic() - began:.1f} s")
            assert hearer.poll() is None
            assert await line.fetch("SELECT 1 FROM scoring.held UNION ALL SELECT 1 FROM scoring.undecodable") == []
        assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=50 * 7)
    finally:
        line.stop()


@cache
def packets_can_be_lost() -> bool:
    """Whether we may have a network of our own, with rules."""
    try:
        return not subprocess.run(["unshare", "--net", "iptables", "-L"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


def test_connections_whose_packets_get_lost_are_given_up_by_both_ends_within_seconds(tmp_path: Path) -> None:
    if not packets_can_be_lost():
        pytest.skip("losing packets takes root, unshare and iptables")
    measured = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.support.lost_packets", str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr[-3000:]
    seconds = json.loads(measured.stdout.splitlines()[-1])
    print(f"  seconds after the network was well again: {seconds}")
    assert max(seconds.values()) < 8
