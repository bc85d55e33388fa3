"""A lead's timeline, from events to sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.events import nurture
from shared.events.scoring import ScoreChanged
from shared.events.stage import TopReason
from shared.service import Runtime
from tests.support.lives import Life, hear
from tests.support.set_clock import SetClock


async def test_a_timeline_tells_in_plain_words_what_happened_oldest_first(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    told = [*life.born(), life.did("demo_requested", conversion_point="pricing page")]
    told += life.way(("registered", "contact_valid"), ("sql", "demo_requested"))
    told.append(
        life.say(
            ScoreChanged(
                score=57.0, fit=20.0, engagement=37.0, grade="B", temperature="warm", cycle=1, rules_version=1,
                top_reasons=[TopReason("demo", 25.0, "Asked for a demo")],
            )
        )
    )  # fmt: skip
    life.at += timedelta(minutes=1)
    told.append(life.say(nurture.Sent(journey="welcome", step="welcome")))
    await hear(runtime, told)
    answer = (await api.get(f"/v1/leads/{life.lead_id}/timeline")).raise_for_status().json()
    assert answer["next"] is None
    assert [item["summary"] for item in answer["items"]] == [
        "Left a name and an e-mail address",
        "Came in as a new lead: showed interest for the first time",
        "Asked for a demo: pricing page",
        "Was confirmed: left an address that works",
        "Became ready for sales (SQL): asked for a demo",
        "Score 57 (warm): +25.0 asked for a demo",
        "Mail 'welcome' sent",
    ]
    assert answer["items"][0]["at"] == "2026-03-03T10:00:00Z"
    assert answer["items"][-1]["type"] == "io.leadline.nurture.sent.v1"
    assert answer["items"][-1]["source"] == "/leadline/nurture"


async def test_a_timeline_comes_in_pages_that_miss_and_repeat_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    told = life.born()
    for number in range(23):
        life.at += timedelta(seconds=number % 3)  # some at the same moment
        told.append(life.did("page_viewed", path=f"/p/{number}"))
    await hear(runtime, told)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(f"/v1/leads/{life.lead_id}/timeline", params=params)).raise_for_status().json()
        assert len(page["items"]) <= 4
        seen += [item["event_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [str(event.event_id) for event in told]


async def test_a_lead_nobody_told_of_is_not_found(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"/v1/leads/{uuid4()}/timeline")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
