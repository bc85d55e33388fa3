"""Finding leads, what is held of one, and that it goes when it is erased."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx

from shared.events.capture import ContactPoint, DayCounted
from shared.events.codec import Stored
from shared.events.handover import Accepted, Expired, Offered
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.service import Runtime
from tests.support.lives import Life, hear
from tests.support.set_clock import SetClock


async def listed(api: httpx.AsyncClient, **params: str) -> list[str]:
    answer = (await api.get("/v1/leads", params=params)).raise_for_status().json()
    return [item["name"] for item in answer["items"]]


async def test_the_lead_that_moved_last_comes_first(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lives = [Life(clock.now() + timedelta(minutes=number), name=f"Lead {number}") for number in range(3)]
    await hear(runtime, [event for life in lives for event in life.born()])
    assert await listed(api) == ["Lead 2", "Lead 1", "Lead 0"]
    lives[0].at += timedelta(hours=1)
    await hear(runtime, [lives[0].moved("registered", "contact_valid")])
    assert await listed(api) == ["Lead 0", "Lead 2", "Lead 1"]
    assert await listed(api, stage="captured") == ["Lead 2", "Lead 1"]
    assert (await api.get("/v1/leads", params={"stage": "gone"})).status_code == 422


async def test_a_lead_is_found_by_the_beginning_of_any_word_and_by_its_id(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    mara = Life(clock.now(), name="Mara Lindqvist")
    told = [mara.card(company="Norrvik Logistics", contact_points=[ContactPoint("phone", "+46701740642")])]
    told.append(mara.moved("captured", "first_interest"))
    other = Life(clock.now(), name="Zoë Åberg", email="zoe@halden.example")
    await hear(runtime, [*told, *other.born()])
    for q in ("mara", "LIND", "norr log", "070 174", "+46 70", str(mara.lead_id)):
        assert await listed(api, q=q) == ["Mara Lindqvist"], q
    for q in ("zoe", "Åberg", "aberg", "zoe@halden.example"):
        assert await listed(api, q=q) == ["Zoë Åberg"], q
    for q in ("ara", "mara zoe", "!!", "'; DROP TABLE", "mara:* | zoe"):
        assert await listed(api, q=q) == [], q


async def test_a_list_comes_in_pages_that_miss_and_repeat_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lives = [Life(clock.now() + timedelta(minutes=number // 3), name=f"Lead {number:02}") for number in range(20)]
    await hear(runtime, [event for life in lives for event in life.born()])
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api.get("/v1/leads", params={"limit": "3"} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == [life.name for life in lives]
    assert (await api.get("/v1/leads", params={"cursor": "made-up"})).status_code == 422


async def test_a_score_that_is_told_on_two_topics_is_the_later_one(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    def scored(life: Life, score: float, minutes: int) -> Any:
        fact = ScoreChanged(
            score=score, fit=0.0, engagement=score, grade="", temperature="warm", cycle=1, rules_version=1
        )
        return life.say(fact, recorded=clock.now() + timedelta(minutes=minutes))

    async def shown(told: list[Stored]) -> tuple[float, str]:
        await hear(runtime, told)
        (item,) = (await api.get("/v1/leads")).json()["items"]
        return item["score"], item["temperature"]

    life = Life(clock.now())
    told = [*life.born(), life.moved("registered", "contact_valid"), scored(life, 57.0, 5)]
    # Said before it, heard after it.
    told.append(life.moved("iql", "score_reached", score=12.0, temperature="cold"))
    assert await shown(told) == (57.0, "warm")
    life.at = clock.now() + timedelta(minutes=6)
    assert await shown([life.moved("sql", "high_intent", score=90.0, temperature="hot")]) == (90.0, "hot")
    # Two scores and a move between them, said in one go.
    assert await shown([scored(life, 90.0, 6), scored(life, 95.0, 6)]) == (95.0, "warm")
    # Whoever has the lead now tells the score it had heard of when it moved it.
    assert await shown([scored(life, 100.0, 7)]) == (100.0, "warm")
    life.at = clock.now() + timedelta(minutes=8)
    assert await shown([life.moved("handed_over", "offered", score=90.0, temperature="hot")]) == (100.0, "warm")


async def test_who_has_a_lead_is_told_by_the_reps_id(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    sold = [("registered", "contact_valid"), ("sql", "demo_requested"), ("handed_over", "offered")]
    told = [*life.born(), *life.way(*sold), life.say(Offered(offer_id="1", rep="rep-000a"))]
    await hear(runtime, told)
    page = (await api.get(f"/leads/{life.lead_id}")).text
    assert "rep 000a" in page
    expired = [life.say(Expired(offer_id="1", rep="rep-000a")), *life.way(("sql", "expired"))]
    await hear(runtime, expired)
    assert "rep 000a" not in (await api.get(f"/leads/{life.lead_id}")).text
    told = life.way(("handed_over", "offered"), ("accepted", "accepted"))
    await hear(runtime, [*told, life.say(Accepted(rep="rep-000b"))])
    assert "rep 000b" in (await api.get(f"/leads/{life.lead_id}")).text


async def test_an_export_holds_all_and_an_erasure_leaves_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life, other = Life(clock.now(), name="Ines Carvalho"), Life(clock.now())
    told = [*life.born(), life.did("page_viewed"), *life.way(("registered", "contact_valid"), ("mql", "score_reached"))]
    told += life.way(("iql", "score_fell"))
    await hear(runtime, [*told, *other.born()])
    held = (await api.get(f"/v1/leads/{life.lead_id}/export")).raise_for_status().json()
    assert held["lead"]["name"] == "Ines Carvalho"
    assert {part: len(held[part]) for part in ("timeline", "stages", "reached", "went_back")} == {
        "timeline": 6, "stages": 4, "reached": 4, "went_back": 1,
    }  # fmt: skip

    await hear(runtime, [life.erased("erasure-1")])
    for path in ("timeline", "export"):
        assert (await api.get(f"/v1/leads/{life.lead_id}/{path}")).status_code == 404
    assert (await api.get(f"/leads/{life.lead_id}")).status_code == 404
    assert await listed(api) == [other.name]
    async with runtime.database.connection() as connection:
        for table in ("lead", "timeline", "reached", "went_back", "flow"):
            kept = await connection.fetchval(f"SELECT count(*) FROM insights.{table} WHERE lead_id = $1", life.lead_id)
            assert kept == 0, table
        done = json.loads(await connection.fetchval("SELECT body FROM bus.insights_log WHERE topic = 'leads.privacy'"))
    assert done == {
        "erasure_id": "erasure-1",
        "service": "insights",
        "removed": {"timeline": 6, "flow": 4, "went_back": 1, "reached": 4, "lead": 1},
    }


async def test_what_is_told_of_an_erased_lead_has_no_effect(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    told = life.born()
    await hear(runtime, [*told, life.erased()])
    late = [
        *told,
        life.did("page_viewed"),
        life.moved("registered", "contact_valid"),
        life.say(ErasureDone(erasure_id="erasure", service="scoring")),
    ]
    await hear(runtime, late)
    assert (await api.get(f"/v1/leads/{life.lead_id}/timeline")).status_code == 404
    assert (await api.get("/v1/funnel")).json()["stages"][0]["leads"] == 0
    async with runtime.database.connection() as connection:
        for table in ("lead", "timeline", "flow"):
            assert await connection.fetchval(f"SELECT count(*) FROM insights.{table}") == 0, table


async def test_another_service_that_erases_first_is_told_until_the_lead_is_gone(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life, unknown = Life(clock.now()), Life(clock.now())
    told = life.born()
    done = [
        life.say(ErasureDone(erasure_id="1", service="nurture")),
        unknown.say(ErasureDone(erasure_id="2", service="nurture")),
    ]
    await hear(runtime, [*told, *done])
    items = (await api.get(f"/v1/leads/{life.lead_id}/timeline")).json()["items"]
    assert items[-1]["summary"] == "Nurture erased what it held"
    assert (await api.get(f"/v1/leads/{unknown.lead_id}/timeline")).status_code == 404


async def test_insights_moves_nobody_and_says_who_does(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    await hear(runtime, [*life.born(), *life.way(("registered", "contact_valid"), ("sql", "demo_requested"))])
    answer = await api.post(f"/v1/leads/{life.lead_id}/stage", json={"to": "customer", "reason": "won"})
    assert answer.status_code == 409
    assert answer.json()["owner"] == "handover"
    unknown = await api.post(f"/v1/leads/{Life(clock.now()).lead_id}/stage", json={"to": "customer", "reason": "won"})
    assert unknown.status_code == 404
    unreadable = await api.post(f"/v1/leads/{life.lead_id}/stage", json={"to": "nowhere", "reason": "won"})
    assert unreadable.status_code == 422


async def test_a_day_of_a_site_is_kept_by_its_newest_figure_and_is_no_lead(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    site = Life(clock.now())

    def day(count: int, minutes: int, **more: Any) -> Any:
        fact = DayCounted(day="2026-03-02", what="visits", source="google", count=count, **more)
        return site.say(fact, recorded=clock.now() + timedelta(minutes=minutes))

    await hear(runtime, [day(10, 0), day(25, 5)])
    await hear(runtime, [day(10, 0)])
    spend = DayCounted(day="2026-03-02", what="spend", source="google", amount="12.50", currency="EUR")
    await hear(runtime, [site.say(spend)])
    async with runtime.database.connection() as connection:
        rows = await connection.fetch("SELECT what, count, amount::text, currency FROM insights.market_day ORDER BY 1")
        assert [tuple(row) for row in rows] == [("spend", 0, "12.50", "EUR"), ("visits", 25, "0", "")]
        assert await connection.fetchval("SELECT count(*) FROM insights.lead") == 0
    assert await listed(api) == []


async def test_a_fact_that_comes_before_its_lead_is_born_waits_in_no_list(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now())
    await hear(runtime, [life.card(), life.did("page_viewed")])
    assert await listed(api) == []
    assert (await api.get("/v1/funnel")).json()["stages"][0]["leads"] == 0
    assert len((await api.get(f"/v1/leads/{life.lead_id}/timeline")).json()["items"]) == 2
    await hear(runtime, [life.moved("captured", "first_interest")])
    assert await listed(api) == [life.name]
