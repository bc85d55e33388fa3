"""The funnel over HTTP stays equal to the stage events, whatever order they come in and however often."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from services.insights.heard import keep_marks
from shared.events.codec import Stored
from shared.service import Runtime
from tests.support.lives import Life, client, hear, insights
from tests.support.recount import recount
from tests.support.set_clock import SetClock

SALE = (
    ("registered", "contact_valid"), ("sql", "demo_requested"), ("handed_over", "offered"), ("accepted", "accepted"),
    ("opportunity", "deal_opened"), ("customer", "won"),
)  # fmt: skip


async def funnel(api: httpx.AsyncClient, **params: str) -> Any:
    return (await api.get("/v1/funnel", params=params)).raise_for_status().json()


def leads(answer: Any) -> dict[str, int]:
    return {stage["stage"]: stage["leads"] for stage in answer["stages"] if stage["leads"]}


def now(answer: Any) -> dict[str, int]:
    return {stage["stage"]: stage["now"] for stage in answer["stages"] if stage["now"]}


async def test_an_empty_funnel_has_all_stages_and_no_shares(api: httpx.AsyncClient) -> None:
    answer = await funnel(api)
    assert [stage["stage"] for stage in answer["stages"]] == [
        "captured", "registered", "iql", "mql", "sql", "handed_over", "accepted", "opportunity", "customer",
    ]  # fmt: skip
    assert {(stage["leads"], stage["now"], stage["conversion"]) for stage in answer["stages"]} == {(0, 0, None)}
    assert answer["groups"] == []
    assert answer["left"] == {"disqualified": 0, "lost": 0, "returned": 0}


def some_lives(dice: random.Random, at: datetime, count: int) -> tuple[list[Life], list[Stored]]:
    """Leads on any legal way; each one's events in order, those of different leads mixed."""
    lives = [
        Life(
            at,
            source=dice.choice(["google", "bing", ""]),
            channel=dice.choice(["search ads", "webinar"]),
            product=dice.choice(["", "logger"]),
            test=dice.random() < 0.1,
        )
        for _ in range(count)
    ]
    queues = [[life.card(), *life.wander(dice, dice.randint(1, 14))] for life in lives]
    told: list[Stored] = []
    while queues:
        queue = dice.choice(queues)
        told.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return lives, told


async def deliver(runtime: Runtime[Any], told: list[Stored], dice: random.Random) -> None:
    """In batches of any size, some of them twice, as after a rebalance."""
    start = 0
    while start < len(told):
        end = start + dice.randint(1, 60)
        await hear(runtime, told[start:end])
        if dice.random() < 0.3:
            await hear(runtime, told[max(0, start - 20) : end])
        start = end


@pytest.mark.parametrize("seed", range(4))
async def test_the_funnel_equals_a_recount_of_the_stage_events(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, seed: int
) -> None:
    dice = random.Random(seed)
    lives, told = some_lives(dice, clock.now() - timedelta(days=100), 80)
    await deliver(runtime, told, dice)
    real = {life.lead_id: life.moves for life in lives if not life.test}
    answer = await funnel(api)
    assert recount(real).equals(answer)
    assert recount({life.lead_id: life.moves for life in lives if life.test}).equals(await funnel(api, test="true"))
    for by in ("source", "channel", "site", "product", "campaign"):
        split = await funnel(api, by=by)
        assert split["stages"] == answer["stages"]
        for at, stage in enumerate(answer["stages"]):
            assert sum(group["stages"][at]["leads"] for group in split["groups"]) == stage["leads"]
            assert sum(group["stages"][at]["now"] for group in split["groups"]) == stage["now"]
    for group in answer["groups"]:
        own = {life.lead_id: life.moves for life in lives if not life.test and life.source == group["key"]}
        counted = recount(own)
        assert {stage["stage"]: stage["leads"] for stage in group["stages"]} == {
            stage["stage"]: counted.leads[stage["stage"]] for stage in group["stages"]
        }


async def test_erasing_leads_takes_them_out_of_every_sum(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    dice = random.Random(11)
    lives, told = some_lives(dice, clock.now() - timedelta(days=100), 40)
    await deliver(runtime, told, dice)
    gone, stay = lives[:15], lives[15:]
    await hear(runtime, [life.erased() for life in gone])
    assert recount({life.lead_id: life.moves for life in stay if not life.test}).equals(await funnel(api))
    await hear(runtime, [life.erased() for life in stay])
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM insights.tally") == 0


async def test_leads_of_a_period_are_those_that_first_reached_a_stage_in_it(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    early = Life(clock.now() - timedelta(days=20))
    told = early.born()
    early.at = clock.now() - timedelta(days=2)
    told += early.way(*SALE[:2])
    late = Life(clock.now() - timedelta(days=1))
    await hear(runtime, [*told, *late.born()])
    assert leads(await funnel(api)) == {"captured": 2, "registered": 1, "iql": 1, "mql": 1, "sql": 1}
    recent = await funnel(api, **{"from": "2026-03-01"})
    assert leads(recent) == {"captured": 1, "registered": 1, "iql": 1, "mql": 1, "sql": 1}
    assert now(recent) == {"captured": 1, "sql": 1}
    assert leads(await funnel(api, to="2026-02-28")) == {"captured": 1}
    assert leads(await funnel(api, **{"from": "2026-03-02", "to": "2026-03-02"})) == {"captured": 1}


async def test_the_sums_of_days_add_up_to_the_sum_of_the_period(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    dice = random.Random(5)
    _, told = some_lives(dice, clock.now() - timedelta(days=10), 40)
    await deliver(runtime, told, dice)
    whole = await funnel(api, **{"from": "2026-01-01", "to": "2026-12-31"})
    halves = [
        await funnel(api, **{"from": "2026-01-01", "to": "2026-02-25"}),
        await funnel(api, **{"from": "2026-02-26", "to": "2026-12-31"}),
    ]
    for at, stage in enumerate(whole["stages"]):
        assert stage["leads"] == sum(half["stages"][at]["leads"] for half in halves)
        assert stage["now"] == halves[0]["stages"][at]["now"]


async def test_a_new_cycle_counts_from_its_start_while_the_days_keep_the_old_one(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now() - timedelta(days=2))
    told = [*life.born(), *life.way(*SALE)]
    await hear(runtime, told)
    assert leads(await funnel(api))["customer"] == 1
    life.at = clock.now()
    await hear(runtime, life.way(("registered", "new_cycle")))
    answer = await funnel(api)
    assert leads(answer) == {"captured": 1, "registered": 1}
    assert answer["back"] == [{"from": "customer", "to": "registered", "leads": 1, "word": "started a new cycle"}]
    assert leads(await funnel(api, **{"from": "2026-03-01", "to": "2026-03-01"}))["customer"] == 1


async def test_ways_back_and_those_who_left_are_told(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    cooled, returned, lost, junk = (Life(clock.now()) for _ in range(4))
    told = [event for life in (cooled, returned, lost, junk) for event in life.born()]
    told += cooled.way(("registered", "contact_valid"), ("mql", "score_reached"), ("iql", "score_fell"))
    told += returned.way(*SALE[:4], ("returned", "no_budget"), ("mql", "hold_ended"))
    told += lost.way(*SALE[:4], ("lost", "too_expensive"))
    told += junk.way(("disqualified", "spam"))
    await hear(runtime, told)
    answer = await funnel(api)
    assert {(way["from"], way["to"], way["word"]): way["leads"] for way in answer["back"]} == {
        ("mql", "iql", "cooled"): 1,
        ("accepted", "mql", "returned"): 1,
    }
    assert answer["left"] == {"disqualified": 1, "lost": 1, "returned": 0}


async def test_days_follow_the_timezone_of_the_installation(insights_dsn: str, clock: SetClock) -> None:
    runtime = insights(insights_dsn, clock, timezone=ZoneInfo("Europe/Stockholm"))
    life = Life(datetime.fromisoformat("2026-03-01T23:30:00Z"))
    await hear(runtime, life.born())
    async with client(runtime) as api:
        assert leads(await funnel(api, **{"from": "2026-03-02", "to": "2026-03-02"})) == {"captured": 1}
        assert leads(await funnel(api, **{"from": "2026-03-01", "to": "2026-03-01"})) == {}
    await runtime.database.close()


async def test_a_source_that_is_put_right_takes_its_lead_along(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now(), source="gogle")
    await hear(runtime, life.born())
    life.source = "google"
    await hear(runtime, [life.card()])
    assert [(group["key"], group["stages"][0]["leads"]) for group in (await funnel(api))["groups"]] == [("google", 1)]


async def test_many_sources_are_folded(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock) -> None:
    lives = [Life(clock.now(), source=f"source {number}") for number in range(6)]
    await hear(runtime, [event for life in lives for event in life.born()])
    groups = (await funnel(api, groups="2"))["groups"]
    assert [(group["key"], group["stages"][0]["leads"], group["folded"]) for group in groups] == [
        ("source 0", 1, 0), ("source 1", 1, 0), ("others", 4, 4),
    ]  # fmt: skip


async def test_numbers_say_as_of_when_they_are(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock) -> None:
    answer = await funnel(api)
    assert answer["as_of"] == "1970-01-01T00:00:00Z", "before anything is heard nothing may be claimed"
    runtime.progress.all_heard(clock.now())
    clock.advance(timedelta(seconds=4))
    answer = await funnel(api)
    assert (answer["as_of"], answer["seconds_behind"]) == ("2026-03-03T09:59:59Z", 5.0)


async def test_a_process_that_does_not_hear_itself_says_how_far_the_others_have_heard(
    runtime: Runtime[Any], api: httpx.AsyncClient, insights_dsn: str, clock: SetClock
) -> None:
    hearer = insights(insights_dsn, clock)
    hearer.progress.heard(range(32), clock.now())
    writing = asyncio.create_task(keep_marks(hearer))
    await until(lambda: heard_of(api), "1970-01-01T00:00:00Z")
    other = insights(insights_dsn, clock)
    other.progress.heard(range(32, 64), clock.now() - timedelta(minutes=2))
    writing_too = asyncio.create_task(keep_marks(other))
    await until(lambda: heard_of(api), "2026-03-03T09:57:59Z")
    for task in (writing, writing_too):
        task.cancel()
    await asyncio.gather(writing, writing_too, return_exceptions=True)
    for one in (hearer, other):
        await one.database.close()


async def heard_of(api: httpx.AsyncClient) -> str:
    return str((await funnel(api))["as_of"])


async def until(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    deadline = time.monotonic() + 5
    while (told := await ask()) != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert told == wanted


async def test_what_cannot_be_asked_is_said_so(api: httpx.AsyncClient) -> None:
    for params in ({"by": "name"}, {"from": "yesterday"}, {"from": "2026-03-02", "to": "2026-03-01"}, {"groups": "0"}):
        answer = await api.get("/v1/funnel", params=params)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


async def test_two_hearers_side_by_side_lose_no_count(insights_dsn: str, clock: SetClock) -> None:
    dice = random.Random(3)
    lives, told = some_lives(dice, clock.now() - timedelta(days=100), 120)
    parts: dict[int, list[Stored]] = defaultdict(list)
    for event in told:
        parts[event.lead_id.bytes[-1] % 2].append(event)
    hearers = [insights(insights_dsn, clock) for _ in parts]

    async def take(hearer: Runtime[Any], part: list[Stored]) -> None:
        for start in range(0, len(part), 40):
            await hear(hearer, part[start : start + 40])

    await asyncio.gather(*(take(hearer, part) for hearer, part in zip(hearers, parts.values(), strict=True)))
    async with client(hearers[0]) as api:
        real: dict[UUID, Any] = {life.lead_id: life.moves for life in lives if not life.test}
        assert recount(real).equals(await funnel(api))
    for hearer in hearers:
        await hearer.database.close()
