"""Two toys that talk and listen without a carrier between them, the hearer with a clock that is set by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support import toys
from tests.support.set_clock import SetClock
from tests.support.toys import HEARER, NOON, SPEAKER, Toy, toy


@pytest.fixture
async def speaker(toy_dsn: str) -> AsyncIterator[Toy]:
    speaker = toy(SPEAKER, toy_dsn)
    yield speaker
    await speaker.database.close()


@pytest.fixture
async def hearer(speaker: Toy) -> AsyncIterator[Toy]:
    hearer = toy(HEARER, speaker.settings.database_url, clock=SetClock(NOON))
    yield hearer
    toys.broken.clear()
    await hearer.database.close()
