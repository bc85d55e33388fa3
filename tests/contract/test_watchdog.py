"""Work that hangs without a word is noticed, on both carriers: its process ends, or another takes over its work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.kafka_server import KafkaServer
from shared.clock import uuid7
from tests.support.forked import Forked
from tests.support.line import Line, Verdict, verdict
from tests.support.servers import require_kafka_programs
from tests.support.toys import SPEAKER, speak, toy

STUCK = 2.0
PATIENCE = {"TOY_STUCK": str(STUCK)}


@asynccontextmanager
async def speaking(line: Line, *parts: str) -> AsyncIterator[Any]:
    speaker = toy(SPEAKER, line.dsn, line.bootstrap, line.prefix)
    async with speaker.running(parts):
        await speaker.prepared.wait()
        yield speaker


async def ended(process: Forked, seconds: float) -> int | None:
    for _ in range(int(seconds / 0.1)):
        if process.poll() is not None:
            return process.returncode
        await asyncio.sleep(0.1)
    return None


@pytest.mark.parametrize("how", ["waiting", "busy"])
async def test_a_hearer_that_hangs_in_its_work_ends_and_the_next_one_goes_on(line: Line, how: str) -> None:
    leads = [uuid7() for _ in range(20)]
    async with speaking(line, "relay") as speaker:
        hanging = line.start("hear", TOY_HANG=how, **PATIENCE)
        await speak(speaker, leads)
        assert await ended(hanging, 40) == 1
        said = line.output.read_text()
        assert '"event":"stuck"' in said
        assert "most recent call first" in said, "the place where it hung is not shown"
        line.start("hear")
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 3)


async def test_whoever_is_stopped_from_outside_loses_its_turn_and_is_not_ended_when_it_goes_on(line: Line) -> None:
    leads = [uuid7() for _ in range(20)]
    async with speaking(line, "relay") as speaker:
        stopped = line.start("hear", **PATIENCE)
        await speak(speaker, leads)
        await line.until_all_heard()
        stopped.send_signal(signal.SIGSTOP)
        line.start("hear", **PATIENCE)
        await speak(speaker, leads)
        await line.until_all_heard()
        assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 4)
        stopped.send_signal(signal.SIGCONT)
        assert await ended(stopped, STUCK * 1.5) is None
        await speak(speaker, leads)
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 5)


async def test_a_hearer_that_only_stands_by_is_left_alone(line: Line) -> None:
    both = [line.start("hear", **PATIENCE) for _ in range(2)]
    assert await ended(both[0], STUCK * 1.5) is None
    assert both[1].poll() is None


@pytest.mark.kafka
async def test_a_kafka_client_that_has_ceased_to_fetch_is_replaced(kafka_line: Line) -> None:
    line, leads = kafka_line, [uuid7() for _ in range(20)]
    async with speaking(line, "relay") as speaker:
        await speak(speaker, leads)
        hearer = line.start("hear", TOY_HANG="deaf", **PATIENCE)
        while "deaf from now on" not in line.output.read_text():
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # until the last request that was answered is over
        await speak(speaker, leads)
        await line.until_all_heard()
        assert hearer.poll() is None
        assert "Deaf" in line.output.read_text()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 4)


@pytest.mark.kafka
async def test_a_relay_into_kafka_that_hangs_in_its_work_ends_and_another_goes_on(kafka_line: Line) -> None:
    line, leads = kafka_line, [uuid7() for _ in range(20)]
    line.start("hear")
    hanging = line.start("relay", TOY_HANG="publishing", **PATIENCE)
    async with speaking(line) as speaker:
        await speak(speaker, leads)
        assert await ended(hanging, 40) == 1
        line.start("relay")
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 3)


@pytest.fixture
def broker(kafka_bootstrap: str, server_folder: Path, tmp_path: Path) -> Iterator[KafkaServer]:
    """One whose process may be stopped for a while: the broker of the run, unless others use it too."""
    server = KafkaServer(server_folder / "kafka")
    if server.alive():
        yield server
        return
    require_kafka_programs()
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    yield server
    server.kill()


@contextmanager
def paused(server: KafkaServer) -> Iterator[None]:
    broker = int((server.folder / "kafka.pid").read_text())
    os.kill(broker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


@pytest.mark.kafka
async def test_a_kafka_broker_that_is_paused_ends_nobody_and_all_is_heard_when_it_goes_on(
    toy_dsn: str, broker: KafkaServer
) -> None:
    leads = [uuid7() for _ in range(20)]
    line = Line(toy_dsn, broker.bootstrap, prefix=f"t{uuid4().hex[:8]}.")
    try:
        running = [line.start("hear", TOY_STUCK="8"), line.start("relay", TOY_STUCK="8")]
        async with speaking(line) as speaker:
            await speak(speaker, leads)
            await line.until_all_heard()
            with paused(broker):
                await speak(speaker, leads)
                late = line.start("hear", TOY_STUCK="8")
                await asyncio.sleep(10)
            await line.until_all_heard()
        assert [process.poll() for process in [*running, late]] == [None] * 3, line.output.read_text()
        assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=20 * 4)
    finally:
        line.stop()
