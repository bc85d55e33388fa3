"""Background work ends when it is told to, also where a library has lost the first word of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared import service
from shared.service import end_all


async def test_work_that_lost_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "END_SECONDS", 0.05)
    told: list[str] = []

    async def hard_of_hearing() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                told.append("once more")
                if len(told) == 2:
                    raise

    tasks = [asyncio.create_task(hard_of_hearing()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    await end_all(tasks)
    assert told == ["once more"] * 2
    assert all(task.cancelled() for task in tasks)


async def test_work_that_never_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "END_SECONDS", 0.05)
    ended = asyncio.Event()

    async def deaf() -> None:
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    began = time.monotonic()
    await end_all([task])
    assert time.monotonic() - began < 1
    assert not task.done()
    ended.set()
    await task
