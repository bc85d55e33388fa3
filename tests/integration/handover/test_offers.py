"""From a lead that is ready to a rep who has it: turns, clocks, the fallback owner, and who must never be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.handover import heartbeat
from shared.service import Runtime
from tests.support.sales import Told, add_rep, handover, hear, moves, offer_all, pass_time, said
from tests.support.set_clock import SetClock

QUARTER = timedelta(minutes=15)


async def the_item(api: httpx.AsyncClient, lead: Told, **query: Any) -> dict[str, Any]:
    items = (await api.get("/v1/worklist", params=query)).raise_for_status().json()["items"]
    return next(item for item in items if item["lead_id"] == str(lead.lead_id))


async def test_a_lead_is_offered_to_the_rep_whose_turn_it_is(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna, ben = await add_rep(api, "Anna Berg"), await add_rep(api, "Ben Cole")
    first, second, third = Told(clock), Told(clock), Told(clock)
    for lead in (first, second, third):
        await hear(runtime, lead.asked_for_a_demo())
        await offer_all(runtime)
    owners = [(await the_item(api, lead))["owner"] for lead in (first, second, third)]
    assert owners == [anna, ben, anna]
    item = await the_item(api, first)
    assert (item["stage"], item["owner_name"], item["due_at"]) == ("handed_over", "Anna Berg", "2026-03-03T10:15:00Z")
    assert await moves(runtime, first.lead_id) == [("handed_over", "offered")]
    (offered,) = [body for kind, body in await said(runtime, first.lead_id) if kind == "handover.offered"]
    assert offered["rep"] == anna
    assert offered["due_at"] == "2026-03-03T10:15:00Z"
    assert (offered["attempt"], offered["route"], offered["why"]) == (1, "round_robin", "next_in_turn")


async def test_the_hottest_is_offered_first(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock) -> None:
    warm, hot, hotter = Told(clock), Told(clock), Told(clock)
    await hear(runtime, warm.became_sql(90.0, "warm"), hot.became_sql(55.0, "hot"), hotter.became_sql(60.0, "hot"))
    reps = [await add_rep(api, name) for name in ("Anna", "Ben", "Cay")]
    await offer_all(runtime)
    assert [(await the_item(api, lead))["owner"] for lead in (hotter, hot, warm)] == reps


async def test_without_reps_a_lead_waits_on_the_worklist_and_is_offered_as_soon_as_there_is_one(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    item = await the_item(api, lead)
    assert (item["stage"], item["owner"], item["waits_for"]) == ("sql", None, "rep")
    anna = await add_rep(api, "Anna")
    await offer_all(runtime)
    assert (await the_item(api, lead))["owner"] == anna


async def test_an_offer_that_runs_out_goes_to_the_next_rep_and_at_last_to_the_fallback_owner(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna, ben, cay, _dee = [await add_rep(api, name) for name in ("Anna", "Ben", "Cay", "Dee")]
    chief = await add_rep(api, "Chief", fallback=True, capacity=0)
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    owners = [(await the_item(api, lead))["owner"]]
    for _ in range(3):
        await pass_time(runtime, QUARTER - timedelta(seconds=2))
        assert (await the_item(api, lead))["owner"] == owners[-1]
        await pass_time(runtime, timedelta(seconds=2))
        owners.append((await the_item(api, lead))["owner"])
    assert owners == [anna, ben, cay, chief]
    assert (await the_item(api, lead))["due_at"] is None
    await pass_time(runtime, timedelta(days=30))
    assert (await the_item(api, lead))["owner"] == chief
    told = await said(runtime, lead.lead_id)
    assert [body["rep"] for kind, body in told if kind == "handover.expired"] == [anna, ben, cay]
    assert [body["attempt"] for kind, body in told if kind == "handover.offered"] == [1, 2, 3, 4]
    assert [body["why"] for kind, body in told if kind == "handover.offered"][-1] == "attempts_used"
    back_and_forth = [("handed_over", "offered"), ("sql", "expired")] * 3
    assert await moves(runtime, lead.lead_id) == [*back_and_forth, ("handed_over", "offered")]


async def test_the_only_rep_gets_what_nobody_took_without_a_deadline(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await pass_time(runtime, QUARTER)
    item = await the_item(api, lead)
    assert (item["owner"], item["stage"], item["due_at"]) == (anna, "handed_over", None)


async def test_the_fallback_owner_can_be_named_by_the_settings(handover_dsn: str, clock: SetClock) -> None:
    runtime = handover(handover_dsn, clock, fallback_email="head.of.sales@sales.example")
    try:
        lead = Told(clock)
        await hear(runtime, lead.asked_for_a_demo())
        await offer_all(runtime)
        async with runtime.database.connection() as connection:
            rows = await connection.fetch("SELECT name, email, fallback, capacity FROM handover.rep")
            owner = await connection.fetchval(
                "SELECT r.email FROM handover.lead l JOIN handover.rep r ON r.rep_id = l.owner WHERE lead_id = $1",
                lead.lead_id,
            )
        assert [tuple(row) for row in rows] == [("Head Of Sales", "head.of.sales@sales.example", True, 0)]
        assert owner == "head.of.sales@sales.example"
    finally:
        await runtime.database.close()


async def test_the_clock_of_an_offer_runs_in_working_hours_only(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await add_rep(api, "Anna")
    ben = await add_rep(api, "Ben")
    clock.set(datetime(2026, 3, 6, 17, 50, tzinfo=UTC))  # a Friday
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    assert (await the_item(api, lead))["due_at"] == "2026-03-09T09:05:00Z"
    await pass_time(runtime, timedelta(days=2, hours=15))
    assert (await the_item(api, lead))["due_at"] == "2026-03-09T09:05:00Z"
    await pass_time(runtime, timedelta(minutes=15))
    assert (await the_item(api, lead))["owner"] == ben


async def test_a_full_rep_is_passed_over_and_a_lead_waits_for_room_when_all_are_full(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna", capacity=1)
    ben = await add_rep(api, "Ben", capacity=1)
    leads = [Told(clock) for _ in range(3)]
    for lead in leads:
        await hear(runtime, lead.asked_for_a_demo())
        await offer_all(runtime)
    items = [await the_item(api, lead) for lead in leads]
    assert [item["owner"] for item in items] == [anna, ben, None]
    assert items[2]["waits_for"] == "room"
    await api.post(f"/v1/leads/{leads[1].lead_id}/return", json={"rep": ben, "reason": "no_need"})
    await offer_all(runtime)
    assert (await the_item(api, leads[2]))["owner"] == ben


async def test_reps_are_chosen_by_the_product_they_sell(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await add_rep(api, "Anna", products=["probes"])
    ben = await add_rep(api, "Ben", products=["loggers"])
    leads = [Told(clock, product="loggers") for _ in range(2)]
    for lead in leads:
        await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    assert [(await the_item(api, lead))["owner"] for lead in leads] == [ben, ben]


async def test_a_test_lead_is_offered_to_nobody_and_shown_only_when_asked_for(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await add_rep(api, "Anna")
    lead = Told(clock, test=True)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    assert (await api.get("/v1/worklist")).json()["items"] == []
    item = await the_item(api, lead, test="true")
    assert (item["stage"], item["owner"]) == ("sql", None)
    assert await said(runtime) == []
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM handover.mail") == 0


async def test_what_history_brought_to_sales_is_neither_listed_nor_offered_until_the_lead_comes_forward(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.became_sql(80.0, "hot", history=True))
    await hear(runtime, lead.did("demo_requested", history=True), lead.did("page_viewed"))
    await pass_time(runtime, timedelta(days=1))
    assert (await api.get("/v1/worklist")).json()["items"] == []
    assert await said(runtime) == []
    await hear(runtime, lead.did("demo_requested"))
    await offer_all(runtime)
    item = await the_item(api, lead)
    assert item["owner"] == anna
    assert item["reason"] == "Asked for a demo just now; score 80, hot"


async def test_time_in_which_the_service_could_not_answer_does_not_run_against_a_rep(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    ben = await add_rep(api, "Ben")
    await heartbeat.beat(runtime)
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await pass_time(runtime, timedelta(minutes=5))
    # Away for 20 minutes: the offer would have run out in the middle of them.
    await _be_silent(runtime, timedelta(minutes=20))
    await pass_time(runtime, timedelta(minutes=20))
    assert (await the_item(api, lead))["owner"] == anna
    await heartbeat.beat(runtime)
    assert (await the_item(api, lead))["due_at"].startswith("2026-03-03T10:35:00")
    await pass_time(runtime, timedelta(minutes=9))
    assert (await the_item(api, lead))["owner"] == anna
    await pass_time(runtime, timedelta(minutes=1, seconds=1))
    assert (await the_item(api, lead))["owner"] == ben


async def _be_silent(runtime: Runtime[Any], length: timedelta) -> None:
    async with runtime.database.connection() as connection:
        await connection.execute("UPDATE handover.heartbeat SET beat_at = beat_at - $1::interval", length)


@pytest.mark.parametrize("how", ["purchase", "flagged"])
async def test_a_purchase_or_a_flag_ends_an_open_offer(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, how: str
) -> None:
    await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    facts = {"purchase": {"value": "120.00", "currency": "EUR"}, "flagged": {"reason": "spam"}}
    await hear(runtime, lead.did(how, **facts[how]))
    await pass_time(runtime, timedelta(hours=1))
    ends = {"purchase": ("customer", "purchase"), "flagged": ("disqualified", "spam")}
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ends[how]]
    assert (await api.get("/v1/worklist")).json()["items"] == []
    held = (await api.get(f"/v1/leads/{lead.lead_id}/export")).json()
    assert [offer["state"] for offer in held["offers"]] == ["withdrawn"]
    assert held["timers"] == []
    if how == "purchase":
        said_last = (await said(runtime, lead.lead_id))[-1][1]
        assert (said_last["value"], said_last["currency"]) == ("120.00", "EUR")


@pytest.mark.parametrize("how", ["purchase", "flagged"])
async def test_a_fact_heard_before_the_stage_is_kept_and_decided_on_when_taking_over(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, how: str
) -> None:
    await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.born(), lead.moved("registered", "contact_valid"))
    await hear(runtime, lead.did(how, value="120.00", currency="EUR", reason="spam"))
    await hear(runtime, lead.moved("sql", "score_reached", score=60.0, temperature="warm"))
    await offer_all(runtime)
    ends = {"purchase": ("customer", "purchase"), "flagged": ("disqualified", "spam")}
    assert await moves(runtime, lead.lead_id) == [ends[how]]


async def test_a_customer_who_asks_again_begins_a_new_cycle(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    await api.post(f"/v1/leads/{lead.lead_id}/outcome", json={"outcome": "won", "value": "10.00", "currency": "EUR"})
    clock.advance(timedelta(days=40))
    await hear(runtime, lead.did("page_viewed"), lead.did("demo_requested", history=True))
    assert (await moves(runtime, lead.lead_id))[-1] == ("customer", "won")
    await hear(runtime, lead.did("contact_requested"))
    assert (await moves(runtime, lead.lead_id))[-1] == ("registered", "new_cycle")
    last = (await said(runtime, lead.lead_id))[-1][1]
    assert (last["cycle"], last["asked_for"]) == (2, "contact_requested")
    # Scoring brings it back: it is a fresh lead to sales, with nothing of the cycle before.
    lead.cycle, lead.stage = 2, "registered"
    await hear(runtime, lead.moved("sql", "contact_requested", seq=last["seq"] + 1, score=50.0, temperature="hot"))
    await offer_all(runtime)
    held = (await api.get(f"/v1/leads/{lead.lead_id}/export")).json()["lead"]
    assert (held["cycle"], held["value"], held["owner"], held["attempts"]) == (2, "", anna, 1)


async def test_what_a_person_becomes_by_a_purchase_told_by_scoring_settles_the_requests_before_it(
    runtime: Runtime[Any], clock: SetClock
) -> None:
    settled, later = Told(clock), Told(clock)
    for lead in (settled, later):
        await hear(runtime, lead.born(), lead.moved("registered", "contact_valid"))
    await hear(runtime, settled.did("demo_requested"), settled.did("purchase", value="5.00", currency="EUR"))
    await hear(runtime, later.did("purchase", value="5.00", currency="EUR"), later.did("demo_requested"))
    for lead in (settled, later):
        await hear(runtime, lead.moved("customer", "purchase"))
    assert await moves(runtime, settled.lead_id) == []
    assert await moves(runtime, later.lead_id) == [("registered", "new_cycle")]
