"""Marketers change the rules while leads are being scored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import yaml

from services.scoring.rescoring import rescore_batch
from services.scoring.rules import DEFAULT
from shared.events.scoring import ScoreChanged
from shared.service import Runtime
from tests.support.scored_leads import Heard, fetch, hear, said, scoring, stages_said
from tests.support.set_clock import SetClock

DAY = timedelta(days=1)


def richer(points: float = 30, version: int = 1) -> dict[str, Any]:
    """The shipped rules with another worth of a look at the prices, made from that version."""
    rules: dict[str, Any] = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    rules["engagement"]["rules"]["looked_at_prices"] |= {"points": points, "most": {"points": 60}}
    rules["version"] = version
    return rules


async def rescored(runtime: Runtime[Any]) -> int:
    """Count all leads anew; answers how many there were."""
    counted = 0
    while some := await rescore_batch(runtime, set()):
        counted += some
    return counted


async def points(api: httpx.AsyncClient, lead: Heard, **query: str) -> dict[str, tuple[float, int]]:
    found = (await api.get(f"/v1/leads/{lead.lead_id}/score", params=query)).json()
    return {entry["rule"]: (entry["points"], entry["rule_version"]) for entry in found["entries"]}


async def test_a_new_installation_has_the_shipped_rules(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/rules")
    assert answer.json() == yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    assert list(answer.json()["fit"]["rules"])[:2] == ["business_email", "free_email"]  # in their order


async def test_new_rules_count_from_now_on_and_the_past_stays_as_it_was(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    leads = [Heard(clock) for _ in range(3)]
    await hear(runtime, *[[lead.card(), *lead.born(), lead.did("pricing_viewed")] for lead in leads])
    before = clock.now()
    clock.advance(DAY)

    answer = await api.put("/v1/rules", json=richer())

    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert answer.json() == richer() | {"version": 2} == (await api.get("/v1/rules")).json()
    assert await rescored(runtime) == 3
    for lead in leads:
        assert await points(api, lead) == {"business_email": (15.0, 1), "looked_at_prices": (28.6, 2)}
        assert await points(api, lead, as_of=before.isoformat()) == {
            "business_email": (15.0, 1),
            "looked_at_prices": (10.0, 1),
        }
        change = [e.data for e in await said(runtime, lead.lead_id) if isinstance(e.data, ScoreChanged)][-1]
        assert (change.score, change.rules_version) == (43.6, 2)
    assert [row["version"] for row in await fetch(runtime, "SELECT version FROM scoring.rules ORDER BY 1")] == [1, 2]


async def test_a_lead_is_counted_anew_at_its_next_event_if_that_comes_first(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("pricing_viewed"))
    await api.put("/v1/rules", json=richer())
    await hear(runtime, lead.did("page_viewed"))
    assert await points(api, lead) == {
        "business_email": (15.0, 1),
        "looked_at_prices": (30.0, 2),
        "viewed_page": (1.0, 2),
    }
    assert await rescored(runtime) == 0


async def test_new_rules_move_leads_and_say_so(runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born(), lead.did("pricing_viewed"))
    await api.put("/v1/rules", json=richer())
    await rescored(runtime)
    assert await stages_said(runtime, lead.lead_id) == [("iql", "score_reached"), ("mql", "rules_changed")]
    await api.put("/v1/rules", json=richer(4, version=2))
    await rescored(runtime)
    assert (await stages_said(runtime, lead.lead_id))[2:] == [("iql", "rules_changed")]


async def test_a_lead_that_comes_back_under_new_rules_is_held_all_the_same(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    """The stage event is the first thing heard under the new rules, long after the lead went to sales."""
    await hear(runtime, lead.card(), lead.born(asked_for="demo_requested"))
    lead.follow("sql")
    clock.advance(200 * DAY)
    await api.put("/v1/rules", json=richer())
    await hear(runtime, lead.moved("returned", "no_budget"))
    assert await stages_said(runtime, lead.lead_id) == [("sql", "demo_requested")]
    due = await fetch(runtime, "SELECT due_at FROM scoring.timer WHERE name = 'hold'")
    assert due[0]["due_at"] == clock.now() + 90 * DAY


async def test_recounting_killed_in_the_middle_goes_on_where_it_was(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, scoring_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = [Heard(clock) for _ in range(25)]
    await hear(runtime, *[[lead.card(), *lead.born(), lead.did("pricing_viewed")] for lead in leads])
    await api.put("/v1/rules", json=richer())
    monkeypatch.setattr("services.scoring.rescoring.BATCH", 10)
    await rescore_batch(runtime, set())

    other = scoring(scoring_dsn, clock)
    try:
        assert await rescored(other) == 15
    finally:
        await other.database.close()

    rows = await fetch(
        runtime,
        "SELECT rule_version, retracts IS NOT NULL, count(*) FROM scoring.entry GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert [tuple(row) for row in rows] == [(1, False, 50), (1, True, 25), (2, False, 25)]


async def test_rules_changed_on_another_machine_are_noticed(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, scoring_dsn: str, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born())
    other = scoring(scoring_dsn, clock)
    try:
        await api.put("/v1/rules", json=richer())
        await hear(other, lead.did("pricing_viewed"))
    finally:
        await other.database.close()
    assert (await points(api, lead))["looked_at_prices"] == (30.0, 2)


async def test_the_same_rules_again_are_no_new_version(api: httpx.AsyncClient) -> None:
    live = (await api.get("/v1/rules")).json()
    assert (await api.put("/v1/rules", json=live)).json() == live


async def test_rules_made_from_an_outdated_version_are_refused(api: httpx.AsyncClient) -> None:
    await api.put("/v1/rules", json=richer(11))
    answer = await api.put("/v1/rules", json=richer(12))
    assert (answer.status_code, answer.json()["live"]) == (409, 2)
    unversioned = {key: value for key, value in richer(12).items() if key != "version"}
    assert (await api.put("/v1/rules", json=unversioned)).json()["version"] == 3


async def test_rules_may_be_sent_as_the_file_that_marketers_keep(api: httpx.AsyncClient) -> None:
    text = DEFAULT.read_text(encoding="utf-8").replace("name: Business to business", "name: Our own")
    answer = await api.put("/v1/rules", content=text, headers={"Content-Type": "application/yaml"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Our own")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{}", "/fit"),
        (b"[]", ""),
        (b"fit: [", ""),
        (b"\xff\xfe", None),
        (b'{"colour": "red"}', "/colour"),
    ],
)
async def test_rules_that_cannot_be_used_are_refused_with_the_place(
    api: httpx.AsyncClient, body: bytes, pointer: str | None
) -> None:
    answer = await api.put("/v1/rules", content=body)
    assert answer.status_code == 422
    pointers = [error["pointer"] for error in answer.json().get("errors", [])]
    assert pointer in pointers if pointer is not None else not pointers
    assert (await api.get("/v1/rules")).json()["version"] == 1


async def test_only_an_operator_sees_or_changes_rules(api: httpx.AsyncClient) -> None:
    for answer in (
        await api.get("/v1/rules", headers={"Authorization": ""}),
        await api.put("/v1/rules", headers={"Authorization": ""}),
    ):
        assert answer.status_code == 401


async def test_a_lead_that_cannot_be_recounted_keeps_no_other_waiting(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    well, ill = Heard(clock), Heard(clock)
    await hear(runtime, *[[lead.card(), *lead.born(), lead.did("pricing_viewed")] for lead in (well, ill)])
    await fetch(runtime, "UPDATE scoring.state SET memory = '{\"fit\": 7}' WHERE lead_id = $1", ill.lead_id)
    await api.put("/v1/rules", json=richer())
    failed: set[Any] = set()
    while await rescore_batch(runtime, failed):
        pass
    assert failed == {(2, ill.lead_id)}
    assert (await points(api, well))["looked_at_prices"] == (30.0, 2)


async def test_an_entry_is_taken_back_at_most_once_whatever_is_written(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("pricing_viewed"))
    await api.put("/v1/rules", json=richer())
    await rescored(runtime)
    again = """
        INSERT INTO scoring.entry
        SELECT lead_id, gen_random_uuid(), kind, cycle, rule, rule_version, event_id, at, since, tenths, half_life,
            reason, retracts
        FROM scoring.entry WHERE retracts IS NOT NULL"""
    with pytest.raises(asyncpg.UniqueViolationError):
        await fetch(runtime, again)
