"""How long work waits after it failed: ever longer while it fails at once, and not for what failed long ago."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from shared import patience
from shared.patience import FIRST_PAUSE, LONGEST_PAUSE, patiently


async def pauses(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[float]:
    """What is waited after each failure of work that failed after so many seconds."""
    now, waited, left = 0.0, list[float](), list(seconds)

    async def work() -> float:
        nonlocal now
        if not left:
            raise asyncio.CancelledError
        now += left.pop(0)
        raise ConnectionError

    async def sleep(pause: float) -> None:
        waited.append(pause)

    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now))
    with pytest.raises(asyncio.CancelledError):
        await patiently(work, "interrupted", "capture")
    return waited


async def test_what_fails_again_and_again_is_tried_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = await pauses(monkeypatch, *[0.0] * 8)
    assert waited[0] == FIRST_PAUSE
    assert waited == sorted(waited)
    assert waited[-1] == LONGEST_PAUSE


async def test_what_went_well_for_a_while_is_begun_again_at_once_however_often_it_failed_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = await pauses(monkeypatch, *[0.0] * 8, 3600.0, 0.0)
    assert waited[8:] == [FIRST_PAUSE, FIRST_PAUSE * 2]
