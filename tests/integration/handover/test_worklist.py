"""The worklist over HTTP, from events to pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from shared.clock import SetClock
from shared.service import Runtime
from tests.support.sales import Told, hear


async def test_a_lead_that_asked_for_a_demo_is_on_the_worklist_with_the_reason_in_words(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo(score=57.0, temperature="hot"))
    clock.advance(timedelta(seconds=42))
    answer = (await api.get("/v1/worklist")).raise_for_status().json()
    (item,) = answer["items"]
    assert answer["next"] is None
    assert item["lead_id"] == str(lead.lead_id)
    assert (item["score"], item["temperature"], item["stage"], item["owner"]) == (57.0, "hot", "sql", None)
    assert item["reason"] == "Asked for a demo 42 seconds ago; score 57, hot"
    assert (item["name"], item["company"]) == ("Mara Lindqvist", "Norrvik Logistics")
