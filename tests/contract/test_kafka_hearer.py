"""How a hearer asks Kafka for more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.consumer import fetcher

from shared.bus import kafka_hearer
from shared.bus.kafka_hearer import BUSY_WAIT_MS, IDLE_WAIT_MS
from shared.clock import uuid7
from tests.support.line import Line, Verdict, verdict
from tests.support.telling import speaking
from tests.support.toys import HEARER, speak, toy

pytestmark = pytest.mark.kafka


async def test_no_request_waits_long_for_what_does_not_come_while_events_wait_to_be_worked(
    kafka_line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    def request(max_wait_ms: int, *rest: Any, **more: Any) -> Any:
        waits.append(max_wait_ms)
        return fetch_request(max_wait_ms, *rest, **more)

    fetch_request = fetcher.FetchRequest
    monkeypatch.setattr(fetcher, "FetchRequest", request)
    monkeypatch.setattr(kafka_hearer, "BATCH", 20)
    leads = [uuid7() for _ in range(300)]
    async with speaking(kafka_line, "relay") as speaker:
        await speak(speaker, leads)
        hearer = toy(HEARER, kafka_line.dsn, kafka_line.bootstrap, kafka_line.prefix)
        async with hearer.running(("consume",)):
            await kafka_line.until_all_heard()
            assert BUSY_WAIT_MS in waits
            async with asyncio.timeout(30):
                while hearer.progress.lag or waits[-1] != IDLE_WAIT_MS:
                    await asyncio.sleep(0.05)
    assert await verdict(kafka_line) == Verdict(lost=0, doubled=0, disordered=0, effects=300 * 3)
