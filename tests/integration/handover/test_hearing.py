"""What handover makes of events that come late, twice and in another order, and of an erasure."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.handover.mailer import OfferMailer
from shared.events.codec import Stored
from shared.mail import Mailer
from shared.service import Runtime
from tests.support.sales import Told, add_rep, hear, moves, offer_all, pass_time, said
from tests.support.set_clock import SetClock


def a_life(random: Random, clock: SetClock) -> tuple[Told, list[Stored]]:
    """A lead's way to sales with facts strewn in."""
    lead, events = Told(clock), list[Stored]()

    def say(some: list[Stored]) -> None:
        events.extend(some)
        clock.advance(timedelta(seconds=1))

    say(lead.born())
    say(lead.did("page_viewed"))
    say(lead.moved("registered", "contact_valid"))
    say(lead.scored(20.0, "cold"))
    facts = [
        lambda: lead.did("pricing_viewed"),
        lambda: lead.card(company="Renamed"),
        lambda: lead.scored(44.0, "warm"),
    ]
    facts += random.choice(
        [[], [lambda: lead.did("purchase", value="9.00", currency="EUR")], [lambda: lead.did("flagged", reason="spam")]]
    )
    # Said in one go: the move tells the score that made it, the last score is another.
    steps = [
        *facts,
        lambda: lead.moved("sql", "score_reached", score=50.0, temperature="warm") + lead.scored(55, "warm"),
    ]
    random.shuffle(steps)
    for step in steps:
        say(step())
    return lead, events


def shuffled(events: list[Stored], random: Random) -> list[Stored]:
    """In any order that keeps each topic's own order, some of them twice."""
    queues = defaultdict[str, list[Stored]](list)
    for event in events:
        queues[event.topic].append(event)
    mixed = list[Stored]()
    while any(queues.values()):
        topic = random.choice([topic for topic, queue in queues.items() if queue])
        mixed.append(queues[topic].pop(0))
        if random.random() < 0.3:
            mixed.append(random.choice(mixed))
    return mixed


async def known(api: httpx.AsyncClient, lead: Told) -> dict[str, Any]:
    held = (await api.get(f"/v1/leads/{lead.lead_id}/export")).raise_for_status().json()
    for moving in ("trace", "cause_id", "scored_at", "since"):
        del held["lead"][moving]
    held["lead"]["rest"].pop("facts")
    return {"lead": held["lead"], "card": held["card"], "stage": held["standing"]["stage"]}


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_between_topics_and_any_repetition_end_the_same(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, seed: int
) -> None:
    random = Random(seed)
    lead, events = a_life(random, clock)
    await hear(runtime, events)
    straight, straight_moves = await known(api, lead), await moves(runtime, lead.lead_id)
    await _forget(runtime)
    again = shuffled(events, random)
    while again:
        size = random.randint(1, 6)
        batch, again = again[:size], again[size:]
        await hear(runtime, batch)
    await hear(runtime, events)
    assert await moves(runtime, lead.lead_id) == straight_moves
    assert await known(api, lead) == straight
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM handover.held") == 0


async def _forget(runtime: Runtime[Any]) -> None:
    async with runtime.database.connection() as connection:
        for table in ("handover.lead", "handover.card", "handover.standing", "handover.feed", "bus.handover_log"):
            await connection.execute(f"DELETE FROM {table}")


async def test_a_thousand_leads_in_batches_are_each_offered_once_whatever_comes_twice(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    for name in ("Anna", "Ben", "Cay"):
        await add_rep(api, name)
    leads = [Told(clock) for _ in range(1000)]
    events = [lead.asked_for_a_demo() for lead in leads]
    for start in range(0, 1000, 100):
        await hear(runtime, *events[start : start + 100])
        await hear(runtime, *events[max(0, start - 50) : start + 100])
        await offer_all(runtime)
    offered = [body for kind, body in await said(runtime) if kind == "handover.offered"]
    assert len(offered) == 1000
    counts = [sum(one["rep"] == rep for one in offered) for rep in {one["rep"] for one in offered}]
    assert sorted(counts) == [333, 333, 334]


async def test_an_erased_lead_leaves_nothing_of_the_person_and_is_never_acted_on_again(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, tmp_path: Path
) -> None:
    anna = await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    await api.post(
        f"/v1/leads/{lead.lead_id}/return", json={"rep": anna, "reason": "no_need", "note": "Knows Mara's boss."}
    )
    later = lead.did("demo_requested")
    await hear(runtime, lead.erased("erasure-1"))
    await hear(runtime, later, lead.did("purchase", value="5.00", currency="EUR"))
    lead.stage = "returned"
    await hear(runtime, lead.moved("sql", "hold_ended", seq=7, score=1.0, temperature="hot"))
    await pass_time(runtime, timedelta(days=1))
    done = (await said(runtime, lead.lead_id))[-1]
    assert done[0] == "privacy.erasure_done"
    assert done[1]["erasure_id"] == "erasure-1"
    assert done[1]["removed"] == {"lead": 1, "card": 1, "offer": 1, "mail": 1}
    assert (await api.get(f"/v1/leads/{lead.lead_id}/export")).status_code == 404
    assert (await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})).status_code == 404
    assert (await api.get("/v1/worklist")).json()["items"] == []
    assert await OfferMailer(runtime, Mailer(None, tmp_path)).work() == 0
    assert not [word for word in ("Mara", "Lindqvist", "norrvik", "70174") if word in await _everything(runtime)]


async def _everything(runtime: Runtime[Any]) -> str:
    async with runtime.database.connection() as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'handover'")
        names = ["bus.handover_log", *(f"handover.{row['tablename']}" for row in tables)]
        rows = [await connection.fetchval(f"SELECT string_agg(t::text, '') FROM {name} t") for name in names]
    return "".join(filter(None, rows))


async def test_what_handover_holds_can_be_taken_out(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    held = (await api.get(f"/v1/leads/{lead.lead_id}/export")).json()
    assert held["card"]["name"] == "Mara Lindqvist"
    assert held["offers"][0]["rep_id"] == anna
    assert held["timers"][0]["name"] == "expiry"
    assert len(held["mails"]) == 1
    assert len(held["events"]) == 5
    async with runtime.database.connection() as connection:
        rows = await connection.fetch(
            """SELECT table_name FROM information_schema.columns WHERE table_schema = 'handover'
                AND column_name = 'lead_id'"""
        )
    told_elsewhere = {"feed": "events"}
    for table in {row["table_name"] for row in rows} - {"held"}:
        assert told_elsewhere.get(table, table) in held or f"{table}s" in held, table


async def test_an_unknown_lead_has_no_export(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"/v1/leads/{UUID(int=1)}/export")).status_code == 404
