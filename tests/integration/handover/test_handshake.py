"""What reps answer, and that two never hold one lead."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.handover.desk import Desk
from shared.service import Runtime
from tests.support.sales import KEY, Told, add_rep, hear, moves, offer_all, pass_time, said
from tests.support.set_clock import SetClock


@pytest.fixture
async def anna(api: httpx.AsyncClient) -> str:
    return await add_rep(api, "Anna Berg")


@pytest.fixture
async def lead(runtime: Runtime[Any], anna: str, clock: SetClock) -> Told:
    """Offered to Anna."""
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    return lead


async def test_a_rep_accepts_by_id_or_by_address_and_again_changes_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str
) -> None:
    first = await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    assert first.status_code == 200
    assert first.json()["stage"] == "accepted"
    assert first.json()["rep"] == anna
    again = await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": "ANNA.berg@sales.example"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ("accepted", "accepted")]
    assert [kind for kind, _ in await said(runtime, lead.lead_id)].count("handover.accepted") == 1
    await pass_time(runtime, timedelta(days=1))
    assert len(await moves(runtime, lead.lead_id)) == 2


async def test_a_lead_that_is_offered_or_taken_is_refused_to_another_rep_who_is_told_so(
    api: httpx.AsyncClient, lead: Told, anna: str
) -> None:
    ben = await add_rep(api, "Ben")
    offered = await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": ben})
    assert offered.status_code == 409
    assert offered.json()["detail"] == "This lead is offered to another rep right now."
    assert (offered.json()["owner"], offered.json()["holder"]) == ("handover", anna)
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    taken = await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": ben})
    assert taken.status_code == 409
    assert taken.json()["detail"] == "This lead is taken: another rep holds it."
    assert (taken.json()["stage"], taken.json()["holder"]) == ("accepted", anna)
    for command, body in (("return", {"reason": "no_need"}), ("outcome", {"outcome": "won"})):
        refused = await api.post(f"/v1/leads/{lead.lead_id}/{command}", json={"rep": ben, **body})
        assert (refused.status_code, refused.json()["holder"]) == (409, anna)


async def test_of_two_reps_who_accept_at_once_one_has_the_lead_and_one_is_told_it_is_taken(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    leads = [Told(clock) for _ in range(50)]
    for lead in leads:
        await hear(runtime, lead.asked_for_a_demo())
    anna, ben = await add_rep(api, "Anna"), await add_rep(api, "Ben")
    for lead in leads:
        answers = await asyncio.gather(
            *(api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": rep}) for rep in (anna, ben))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        won = next(answer.json() for answer in answers if answer.status_code == 200)
        lost = next(answer.json() for answer in answers if answer.status_code == 409)
        assert lost["holder"] == won["rep"]
        assert lost["detail"] == "This lead is taken: another rep holds it."
        told = await said(runtime, lead.lead_id)
        assert [body["rep"] for kind, body in told if kind == "handover.accepted"] == [won["rep"]]
        assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ("accepted", "accepted")]


async def test_the_desk_and_a_rep_who_takes_a_lead_at_once_do_not_both_get_it(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna, ben = await add_rep(api, "Anna"), await add_rep(api, "Ben")
    for _ in range(20):
        lead = Told(clock)
        await hear(runtime, lead.asked_for_a_demo())
        await asyncio.gather(offer_all(runtime), api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": ben}))
        offers = [body["rep"] for kind, body in await said(runtime, lead.lead_id) if kind == "handover.offered"]
        assert len(offers) == 1
        assert offers[0] in (anna, ben)


async def test_a_returned_lead_goes_to_nurture_with_the_reason_and_the_note_stays_here(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str
) -> None:
    body = {"rep": anna, "reason": "no_budget", "note": "Asks again in May."}
    first = await api.post(f"/v1/leads/{lead.lead_id}/return", json=body)
    assert (first.status_code, first.json()["stage"], first.json()["rep"]) == (200, "returned", None)
    again = await api.post(f"/v1/leads/{lead.lead_id}/return", json=body)
    assert (again.status_code, again.json()) == (200, first.json())
    told = await said(runtime, lead.lead_id)
    (returned,) = [body for kind, body in told if kind == "handover.returned"]
    assert (returned["rep"], returned["reason"], returned["note_length"]) == (anna, "no_budget", 18)
    assert "May" not in str(told)
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ("returned", "no_budget")]
    await pass_time(runtime, timedelta(days=1))
    assert (await api.get("/v1/worklist")).json()["items"] == []
    other = await api.post(f"/v1/leads/{lead.lead_id}/return", json={**body, "reason": "no_need"})
    assert (other.status_code, other.json()["owner"]) == (409, "scoring")


async def test_a_returned_lead_that_comes_back_is_not_offered_to_who_returned_it(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str, clock: SetClock
) -> None:
    ben = await add_rep(api, "Ben")
    await hear(runtime, Told(clock).asked_for_a_demo())
    await offer_all(runtime)
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    await api.post(f"/v1/leads/{lead.lead_id}/return", json={"rep": anna, "reason": "bad_timing", "note": "In May."})
    lead.stage = "returned"
    clock.advance(timedelta(minutes=1))
    # It would be Anna's turn, as Ben was asked last.
    await hear(runtime, lead.moved("sql", "hold_ended", seq=7, score=90.0, temperature="hot"))
    await offer_all(runtime)
    item = (await api.get("/v1/worklist")).json()["items"][0]
    assert (item["lead_id"], item["owner"]) == (str(lead.lead_id), ben)
    assert item["reason"] == "May be worth another try just now; score 90, hot"


async def test_many_desks_at_once_keep_the_turns_and_the_room(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, anna: str
) -> None:
    ben, cay = await add_rep(api, "Ben", capacity=7), await add_rep(api, "Cay", capacity=1)
    leads = [Told(clock) for _ in range(40)]
    desks = [Desk(runtime) for _ in range(4)]
    for lead in leads:
        await hear(runtime, lead.asked_for_a_demo())
        await asyncio.gather(*(desk.work() for desk in desks))
    offered = [body["rep"] for kind, body in await said(runtime) if kind == "handover.offered"]
    assert len(offered) == 40
    assert [offered.count(rep) for rep in (anna, ben, cay)] == [32, 7, 1]
    assert offered[:3] == [anna, ben, cay]
    assert offered[3:13] == [anna, ben] * 5

    waiting = [Told(clock) for _ in range(60)]
    await api.patch(f"/v1/reps/{anna}", json={"capacity": 62})
    await hear(runtime, *(lead.asked_for_a_demo() for lead in waiting))
    await asyncio.gather(*(desk.work() for desk in desks for _ in range(5)))
    held = {rep["rep_id"]: rep["holds"] for rep in (await api.get("/v1/reps")).json()["items"]}
    assert held == {anna: 62, ben: 7, cay: 1}


@pytest.mark.parametrize(
    ("steps", "stages"),
    [
        (["won"], [("opportunity", "deal_opened"), ("customer", "won")]),
        (["opportunity", "won"], [("opportunity", "deal_opened"), ("customer", "won")]),
        (["opportunity", "lost"], [("opportunity", "deal_opened"), ("lost", "competitor")]),
        (["lost"], [("lost", "competitor")]),
        (["disqualified"], [("disqualified", "competitor")]),
    ],
)
async def test_outcomes_lead_where_the_graph_says(
    runtime: Runtime[Any],
    api: httpx.AsyncClient,
    lead: Told,
    anna: str,
    steps: list[str],
    stages: list[tuple[str, str]],
) -> None:
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    for outcome in steps:
        body: dict[str, str] = {"outcome": outcome, "rep": anna}
        body |= {"reason": "competitor"} if outcome in ("lost", "disqualified") else {"value": "18400.00"}
        first = await api.post(f"/v1/leads/{lead.lead_id}/outcome", json=body)
        assert first.status_code == 200, first.text
        again = await api.post(f"/v1/leads/{lead.lead_id}/outcome", json=body)
        assert (again.status_code, again.json()) == (200, first.json())
    assert (await moves(runtime, lead.lead_id))[2:] == stages
    told = await said(runtime, lead.lead_id)
    kinds = {"opportunity": "opportunity_opened"}
    assert [kind for kind, _ in told if kind.startswith("handover.")][2:] == [
        f"handover.{kinds.get(step, step)}" for step in steps
    ]
    if steps[-1] == "won":
        place, won = next((place, body) for place, (kind, body) in enumerate(told) if kind == "handover.won")
        assert [told[near][1]["to"] for near in (place - 1, place + 1)] == ["opportunity", "customer"]
        assert (won["value"], won["currency"], won["rep"]) == ("18400.00", "EUR", anna)
        assert told[-1][1]["value"] == "18400.00"


async def test_fulfilled_and_paid_follow_as_facts_of_a_customer(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str, clock: SetClock
) -> None:
    url = f"/v1/leads/{lead.lead_id}/outcome"
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    early = await api.post(url, json={"outcome": "paid"})
    assert (early.status_code, early.json()["stage"]) == (409, "accepted")
    await api.post(url, json={"outcome": "won", "value": "99.50", "currency": "SEK"})
    clock.advance(timedelta(days=3))
    fulfilled = await api.post(url, json={"outcome": "fulfilled"})
    paid = await api.post(url, json={"outcome": "paid", "value": "99.50", "currency": "SEK"})
    assert (paid.json()["stage"], paid.json()["fulfilled_at"]) == ("customer", fulfilled.json()["fulfilled_at"])
    clock.advance(timedelta(days=3))
    assert (await api.post(url, json={"outcome": "paid", "value": "99.50", "currency": "SEK"})).json() == paid.json()
    assert (await api.post(url, json={"outcome": "won"})).json()["stage"] == "customer"
    other = await api.post(url, json={"outcome": "paid", "value": "1.00", "currency": "SEK"})
    assert (other.status_code, other.json()["title"]) == (409, "Already said")
    facts = [(kind, body) for kind, body in await said(runtime, lead.lead_id) if kind.startswith("handover.")]
    assert [kind for kind, _ in facts[-2:]] == ["handover.fulfilled", "handover.paid"]
    assert facts[-1][1]["value"] == "99.50"
    assert (await moves(runtime, lead.lead_id))[-1] == ("customer", "won")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"outcome": "lost"}, "/reason"),
        ({"outcome": "lost", "reason": "spam"}, "/reason"),
        ({"outcome": "won", "reason": "no_budget"}, "/reason"),
        ({"outcome": "sold"}, "/outcome"),
        ({"outcome": "won", "value": 18400}, "/value"),
        ({"outcome": "won", "value": "18,400"}, "/value"),
        ({"outcome": "won", "value": "-5"}, "/value"),
        ({"outcome": "won", "value": "1e5"}, "/value"),
        ({"outcome": "won", "value": "1.234,50"}, "/value"),
        ({"outcome": "won", "value": "\u0661\u0662"}, "/value"),
        ({"outcome": "won", "value": "5", "currency": "euro"}, "/currency"),
        ({"outcome": "won", "value": "5", "currency": "EUX"}, "/currency"),
        ({"outcome": "won", "currency": "EUR"}, "/currency"),
        ({"outcome": "won", "rep": "nobody@sales.example"}, "/rep"),
        ({"outcome": "won", "score": 5}, "/score"),
    ],
)
async def test_an_outcome_that_cannot_be_read_is_refused_with_its_place(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str, body: dict[str, Any], where: str
) -> None:
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    before = await said(runtime)
    answer = await api.post(f"/v1/leads/{lead.lead_id}/outcome", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [where]
    assert "pattern" not in answer.text  # a rep reads it at the console
    assert await said(runtime) == before


@pytest.mark.parametrize("reason", ["", "spam", "No budget", "merged"])
async def test_a_return_needs_a_reason_of_the_list(api: httpx.AsyncClient, lead: Told, anna: str, reason: str) -> None:
    answer = await api.post(f"/v1/leads/{lead.lead_id}/return", json={"rep": anna, "reason": reason})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/reason"


async def test_a_lead_that_is_not_with_sales_is_refused_with_its_owner(
    runtime: Runtime[Any], api: httpx.AsyncClient, anna: str, clock: SetClock
) -> None:
    lead = Told(clock)
    await hear(runtime, lead.born(), lead.moved("registered", "contact_valid"))
    commands: list[tuple[str, dict[str, str]]] = [
        ("accept", {"rep": anna}),
        ("return", {"rep": anna, "reason": "no_need"}),
        ("outcome", {"outcome": "won"}),
        ("stage", {"to": "disqualified", "reason": "spam"}),
    ]
    for command, body in commands:
        answer = await api.post(f"/v1/leads/{lead.lead_id}/{command}", json=body)
        assert (answer.status_code, answer.json()["owner"]) == (409, "scoring"), command
        unknown = await api.post(f"/v1/leads/{uuid4()}/{command}", json=body)
        assert unknown.status_code == 404, command
    assert await said(runtime) == []


async def test_a_person_moves_a_lead_on_and_the_graph_is_asked(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Told, anna: str
) -> None:
    url = f"/v1/leads/{lead.lead_id}/stage"
    ben = await add_rep(api, "Ben")
    illegal = await api.post(url, json={"to": "lost", "reason": "manual"})
    assert (illegal.status_code, illegal.json()["title"]) == (409, "No such move")
    unnamed = await api.post(url, json={"to": "accepted", "reason": "manual"})
    assert (unnamed.status_code, unnamed.json()["detail"]) == (409, "A rep has to be named: use /accept.")
    assert (await api.post(url, json={"to": "nowhere", "reason": "manual"})).status_code == 422
    back = await api.post(url, json={"to": "sql", "reason": "reassigned"})
    assert (back.status_code, back.json()["stage"], back.json()["rep"]) == (200, "sql", None)
    await offer_all(runtime)
    assert [item["owner"] for item in (await api.get("/v1/worklist")).json()["items"]] == [ben]
    gone = await api.post(url, json={"to": "disqualified", "reason": "not_icp"})
    assert gone.json()["stage"] == "disqualified"
    assert (await moves(runtime, lead.lead_id))[-1] == ("disqualified", "not_icp")


NOBODY = UUID(int=7)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/worklist"),
        ("GET", "/v1/reps"),
        ("POST", "/v1/reps"),
        ("PATCH", f"/v1/reps/{NOBODY}"),
        ("POST", f"/v1/leads/{NOBODY}/accept"),
        ("POST", f"/v1/leads/{NOBODY}/return"),
        ("POST", f"/v1/leads/{NOBODY}/outcome"),
        ("POST", f"/v1/leads/{NOBODY}/stage"),
        ("GET", f"/v1/leads/{NOBODY}/export"),
        ("GET", "/v1/events"),
    ],
)
async def test_nothing_is_told_or_done_without_the_operators_key(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
        answer = await api.request(method, path, json={}, headers=headers)
        assert answer.status_code == 401, headers
