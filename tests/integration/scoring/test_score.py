"""The score over HTTP: it adds up, now and at any moment of the past, and every entry says why."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from shared.clock import uuid7
from shared.service import Runtime
from tests.support.scored_leads import Heard, hear
from tests.support.set_clock import SetClock


async def score(api: httpx.AsyncClient, lead: Heard, as_of: datetime | None = None) -> dict[str, Any]:
    answer = await api.get(f"/v1/leads/{lead.lead_id}/score", params={"as_of": as_of.isoformat()} if as_of else {})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    points = [Decimal(str(entry["points"])) for entry in found["entries"]]
    assert sum(points) == Decimal(str(found["score"]))
    assert Decimal(str(found["fit"])) + Decimal(str(found["engagement"])) == Decimal(str(found["score"]))
    return found


async def test_a_score_says_what_it_is_made_of(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    asking = lead.did("demo_requested", contact_valid=True)
    await hear(
        runtime,
        lead.card(company="Norrvik", answers={"role": "Head of Logistics", "company_size": "51-200"}),
        lead.moved("captured", "first_interest"),
        asking,
        lead.moved("registered", "contact_valid", asked_for="demo_requested"),
    )
    clock.advance(timedelta(days=30))

    found = await score(api, lead)

    assert (found["stage"], found["grade"], found["cycle"], found["rules_version"]) == ("sql", "A", 1, 1)
    assert (found["score"], found["fit"], found["engagement"]) == (75.0, 55.0, 20.0)
    assert found["temperature"] == "warm"  # three weeks without a sign cool what was hot
    demo = next(entry for entry in found["entries"] if entry["rule"] == "asked_for_demo")
    assert (demo["points"], demo["rule_version"], demo["event_id"]) == (20.0, 1, str(asking.event_id))
    assert demo["at"] == "2026-03-03T10:00:00Z"
    assert demo["reason"] == "Asked for a demo on 3 March 2026: 40 points, 20 of them left; half goes every 30 days."
    company = next(entry for entry in found["entries"] if entry["rule"] == "company_known")
    assert company["reason"] == "Named a company: 10 points."


async def test_the_score_of_the_past_counts_what_had_happened_by_then(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    start = clock.now()
    await hear(runtime, lead.card(), lead.born(), lead.did("pricing_viewed"))
    clock.advance(timedelta(days=14))
    await hear(runtime, lead.did("asset_downloaded"), lead.card(company="Norrvik"))
    clock.advance(timedelta(days=14))
    # Heard of late: it happened a week after the first.
    await hear(runtime, lead.did("chat_message", time=start + timedelta(days=7)))

    at = [await score(api, lead, start + timedelta(days=days)) for days in (-1, 0, 7, 13, 14)]

    assert [found["engagement"] for found in at] == [0, 10.0, 7.1 + 8, 11.9, 5 + 6.3 + 10]
    assert [found["fit"] for found in at] == [0, 15.0, 15.0, 15.0, 25.0]
    assert [found["stage"] for found in at] == [None, "iql", "iql", "iql", "iql"]
    assert [found["grade"] for found in at] == ["unknown", "C", "C", "C", "B"]
    now = await score(api, lead)
    assert now["score"] == (await score(api, lead, clock.now()))["score"]


async def test_the_score_of_the_past_belongs_to_the_cycle_of_then(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    first = clock.now()
    await hear(runtime, lead.card(), lead.born(), lead.did("pricing_viewed"))
    lead.follow("iql")
    await hear(runtime, lead.did("purchase", value="1200.00", currency="EUR"))
    lead.follow("customer")
    clock.advance(timedelta(days=10))
    await hear(runtime, lead.moved("registered", "new_cycle"), lead.did("asset_downloaded"))

    assert {entry["rule"] for entry in (await score(api, lead))["entries"]} == {"business_email", "downloaded"}
    before = await score(api, lead, first + timedelta(days=9))
    assert {entry["rule"] for entry in before["entries"]} == {"business_email", "looked_at_prices"}
    assert (before["cycle"], before["stage"]) == (1, "customer")


async def test_what_is_worth_nothing_any_more_is_not_listed(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("page_viewed"))
    clock.advance(timedelta(days=700))
    assert [entry["rule"] for entry in (await score(api, lead))["entries"]] == ["business_email"]


async def test_only_an_operator_may_ask(api: httpx.AsyncClient, lead: Heard) -> None:
    answer = await api.get(f"/v1/leads/{lead.lead_id}/score", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["score", "export"])
async def test_an_unknown_lead_is_not_found(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(f"/v1/leads/{uuid7()}/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("as_of", ["yesterday", "2026-03-01T00:00:00", "2126-03-01T00:00:00Z"])
async def test_a_moment_that_is_none_or_still_to_come_is_refused(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, as_of: str
) -> None:
    await hear(runtime, lead.card(), lead.born())
    answer = await api.get(f"/v1/leads/{lead.lead_id}/score", params={"as_of": as_of})
    assert answer.status_code == 422
