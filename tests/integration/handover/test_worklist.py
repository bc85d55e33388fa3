"""The worklist over HTTP: the hottest first, page by page, with the reason in words, also when it is long."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.keys import make
from services.handover import worklist
from services.insights.services import session_token
from shared.keys import Role, Scope
from shared.security import Sessions
from shared.service import Runtime
from tests.support.sales import Told, add_rep, client, handover, hear, offer_all
from tests.support.set_clock import SetClock


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


async def test_names_and_companies_are_for_keys_that_may_see_people(
    runtime: Runtime[Any], handover_dsn: str, clock: SetClock, tmp_path: Path
) -> None:
    await hear(runtime, Told(clock).asked_for_a_demo(score=57.0, temperature="hot"))
    figures, _ = make(tmp_path / "keys.json", "dashboard", [Scope.read], clock.now())
    dialler, _ = make(tmp_path / "keys.json", "dialler", [Scope.read, Scope.card], clock.now())
    other = handover(handover_dsn, clock, data_dir=tmp_path)
    async with client(other) as api:
        for key, shown in ((figures, ("", "")), (dialler, ("Mara Lindqvist", "Norrvik Logistics"))):
            (item,) = (await api.get("/v1/worklist", headers={"Authorization": f"Bearer {key}"})).json()["items"]
            assert (item["name"], item["company"]) == shown
            assert item["reason"] == "Asked for a demo just now; score 57, hot"
    await other.database.close()


async def test_a_rep_who_signed_in_sees_and_answers_what_is_theirs_and_in_no_other_name(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    ingrid, daniel = await add_rep(api, "Ingrid"), await add_rep(api, "Daniel")
    first, second = Told(clock), Told(clock)
    await hear(runtime, first.asked_for_a_demo(score=57.0), second.asked_for_a_demo(score=56.0))
    await hear(runtime, *(told.card(message="Proof per pallet, please.") for told in (first, second)))
    await offer_all(runtime)
    items = (await api.get("/v1/worklist")).json()["items"]
    owners = {item["owner"]: item["lead_id"] for item in items}
    assert set(owners) == {ingrid, daniel}
    signer = Sessions(runtime.settings.secret).signer
    token = session_token(signer, "a_1", Role.rep, UUID(daniel))
    signed_in = {"Authorization": f"Bearer {token}"}

    (item,) = (await api.get("/v1/worklist", headers=signed_in)).json()["items"]
    assert (item["lead_id"], item["name"], item["email"] + item["message"]) == (owners[daniel], "Mara Lindqvist", "")
    assert (await api.get("/v1/worklist", params={"rep": ingrid}, headers=signed_in)).status_code == 403
    assert (await api.get(f"/v1/leads/{owners[daniel]}/offers", headers=signed_in)).status_code == 403
    for lead_id, rep, status in (
        (owners[ingrid], ingrid, 403),
        (owners[ingrid], daniel, 409),
        (owners[daniel], daniel, 200),
    ):
        answer = await api.post(f"/v1/leads/{lead_id}/accept", json={"rep": rep}, headers=signed_in)
        assert answer.status_code == status, answer.text
    (item,) = (await api.get("/v1/worklist", headers=signed_in)).json()["items"]
    assert (item["email"], item["message"]) == ("mara@norrvik.example", "Proof per pallet, please.")
    lost = {"outcome": "lost", "reason": "no_budget"}
    theirs = await api.post(f"/v1/leads/{owners[ingrid]}/outcome", json=lost, headers=signed_in)
    assert theirs.status_code == 409
    (offer,) = (await api.get(f"/v1/leads/{owners[daniel]}/offers")).json()["items"]
    assert (offer["rep_name"], offer["state"]) == ("Daniel", "accepted")


async def test_the_time_of_the_request_counts_not_that_of_the_stage(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lead = Told(clock)
    asked = lead.did("demo_requested", time=clock.now())
    born = lead.born()
    clock.advance(timedelta(minutes=3))
    await hear(runtime, born, asked, lead.moved("registered", "email_confirmed", asked_for="demo_requested"))
    await hear(runtime, lead.moved("sql", "demo_requested", asked_for="demo_requested", score=5.0, temperature="hot"))
    (item,) = (await api.get("/v1/worklist")).json()["items"]
    assert item["reason"] == "Asked for a demo 3 minutes ago; score 5, hot"


async def test_the_worklist_follows_the_score_while_sales_has_the_lead(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    first, second = Told(clock), Told(clock)
    await hear(runtime, first.became_sql(60.0, "warm"), second.became_sql(50.0, "warm"))
    assert await order(api) == [str(first.lead_id), str(second.lead_id)]
    clock.advance(timedelta(minutes=1))
    await hear(runtime, second.scored(75.0, "hot"))
    assert await order(api) == [str(second.lead_id), str(first.lead_id)]


async def test_a_score_said_earlier_and_heard_later_changes_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lead = Told(clock)
    early = lead.scored(10.0, "cold")
    clock.advance(timedelta(minutes=1))
    await hear(runtime, lead.became_sql(60.0, "hot"))
    await hear(runtime, early)
    (item,) = (await api.get("/v1/worklist")).json()["items"]
    assert (item["score"], item["temperature"]) == (60.0, "hot")


async def order(api: httpx.AsyncClient, limit: int = 200, **query: Any) -> list[str]:
    """The ids of the whole list, page by page."""
    ids, cursor = list[str](), ""
    while True:
        page = (await api.get("/v1/worklist", params={"limit": limit, "cursor": cursor, **query})).json()
        ids += [item["lead_id"] for item in page["items"]]
        assert len(page["items"]) <= limit
        cursor = page["next"]
        if not cursor:
            return ids


async def test_pages_of_any_size_hold_each_lead_once_and_the_hottest_first(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    random, told = Random(7), list[tuple[int, float, int, Told]]()
    for number in range(40):
        clock.advance(timedelta(seconds=random.choice([0, 1])))
        lead = Told(clock)
        score, heat = random.choice([20.0, 40.5, 40.6, 80.0]), random.choice(["cold", "warm", "hot", ""])
        await hear(runtime, lead.became_sql(score, heat))
        told.append((["hot", "warm", "cold", ""].index(heat), -score, number, lead))
    wanted = [str(lead.lead_id) for *_, lead in sorted(told, key=lambda one: one[:3])]
    for limit in (1, 7, 40, 200):
        assert await order(api, limit) == wanted


async def test_one_reps_list_has_only_what_is_theirs(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    reps = [await add_rep(api, name) for name in ("Anna", "Ben")]
    leads = [Told(clock) for _ in range(5)]
    for lead in leads:
        await hear(runtime, lead.asked_for_a_demo())
        await offer_all(runtime)
    for rep, theirs in zip(reps, (leads[::2], leads[1::2]), strict=True):
        assert sorted(await order(api, 2, rep=rep)) == sorted(str(lead.lead_id) for lead in theirs)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"cursor": "made up"}, {"rep": "Anna"}])
async def test_what_cannot_be_asked_is_refused(api: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await api.get("/v1/worklist", params=query)).status_code == 422


async def test_a_cursor_of_another_list_is_refused(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await hear(runtime, Told(clock).asked_for_a_demo(), Told(clock).asked_for_a_demo())
    cursor = (await api.get("/v1/worklist", params={"limit": 1})).json()["next"]
    assert (await api.get("/v1/worklist", params={"test": True, "cursor": cursor})).status_code == 422


async def test_a_page_of_a_hundred_thousand_leads_is_read_from_the_index(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    rep = await add_rep(api, "Anna")
    async with runtime.database.transaction() as connection:
        await connection.execute(
            """INSERT INTO handover.lead (lead_id, stage, listed, test, rank, temperature, score, since, owner, rest)
                SELECT gen_random_uuid(), 'accepted', true, n % 50 = 0, n % 4, 'warm', (n * 7919) % 1000 / 10.0,
                    $1::timestamptz + n * interval '1 second', CASE WHEN n % 10 = 0 THEN $2::uuid END, '{}'
                FROM generate_series(1, 100000) n""",
            clock.now(), rep,
        )  # fmt: skip
        await connection.execute("ANALYZE handover.lead")
    for query in ({}, {"rep": rep}):
        first = (await api.get("/v1/worklist", params={"limit": 50, **query})).json()
        second = (await api.get("/v1/worklist", params={"limit": 50, "cursor": first["next"], **query})).json()
        assert len(second["items"]) == 50
        assert not {item["lead_id"] for item in first["items"]} & {item["lead_id"] for item in second["items"]}
    for with_rep, deep in itertools.product((False, True), repeat=2):
        plan = await _plan(runtime, rep if with_rep else None, deep)
        assert "Seq Scan on lead" not in plan, plan
        assert "Sort" not in plan, plan
        assert ("lead_worklist_of_rep" if with_rep else "lead_worklist") in plan
        read = max(int(word.removeprefix("rows=").split(".")[0]) for word in plan.split() if word.startswith("rows="))
        assert read < 500, plan


async def _plan(runtime: Runtime[Any], rep: str | None, deep: bool) -> str:
    """How the server reads a page, by the statement the service itself sends."""
    explained = list[str]()

    class Explaining:
        async def fetch(self, statement: str, *values: Any) -> list[Any]:
            async with runtime.database.connection() as connection:
                rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", *values)
            explained.extend(row[0] for row in rows)
            return []

    after = None
    if deep:
        async with runtime.database.connection() as connection:
            row = await connection.fetchrow(
                """SELECT rank, -score AS minus_score, since, lead_id FROM handover.lead WHERE owner IS NOT NULL
                    AND NOT test ORDER BY rank, -score, since, lead_id OFFSET 5000 LIMIT 1"""
            )
        after = tuple(row)
    await worklist.page(Explaining(), test=False, rep=rep, after=after, limit=51)  # pyright: ignore
    return "\n".join(explained)
