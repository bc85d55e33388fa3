"""What scoring does with what it hears, on a real database: each fact once, in whatever order it becomes known."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from services.scoring import handlers
from shared import database
from shared.events.capture import ActivityRecorded
from shared.events.envelope import Envelope
from shared.events.handover import Learned
from shared.events.nurture import Bounced, Clicked, Opened, Unsubscribed
from shared.events.scoring import ScoreChanged
from shared.leads import Lead
from shared.service import Runtime
from tests.support.scored_leads import Heard, fetch, hear, net_entries, said
from tests.support.set_clock import SetClock


async def test_a_batch_brought_twice_counts_once(runtime: Runtime[Any], lead: Heard) -> None:
    batch = [lead.card(company="Norrvik"), *lead.born(), lead.did("pricing_viewed"), lead.did("asset_downloaded")]
    await hear(runtime, batch)
    entries = await fetch(runtime, "SELECT * FROM scoring.entry ORDER BY id")
    events = await said(runtime, lead.lead_id)

    await hear(runtime, batch)
    await hear(runtime, batch, batch)

    assert await fetch(runtime, "SELECT * FROM scoring.entry ORDER BY id") == entries
    assert await said(runtime, lead.lead_id) == events
    assert len(await fetch(runtime, "SELECT * FROM scoring.fact")) == 2


async def test_activities_that_become_known_in_any_order_come_to_the_same_entries(
    runtime: Runtime[Any], clock: SetClock
) -> None:
    chance = random.Random(7)
    names = ["demo_requested", "pricing_viewed", "page_viewed", "product_viewed", "newsletter_subscribed", "purchase"]
    acts = [(chance.choice(names), clock.now() - timedelta(hours=chance.randrange(6 * 24))) for _ in range(40)]
    outcomes: list[object] = []
    for order in (sorted(acts, key=lambda act: act[1]), acts, acts[::-1]):
        lead = Heard(clock)
        batches = [lead.did(name, time=at) for name, at in order]
        await hear(runtime, lead.card())
        while batches:
            size = chance.randrange(1, 12)
            await hear(runtime, batches[:size])
            batches = batches[size:]
        state = await fetch(
            runtime, "SELECT score, engagement, temperature FROM scoring.state WHERE lead_id = $1", lead.lead_id
        )
        outcomes.append(([tuple(row) for row in state], await net_entries(runtime, lead.lead_id)))
        assert not await fetch(runtime, "SELECT 1 FROM scoring.held")
    assert outcomes[0] == outcomes[1] == outcomes[2]
    backwards = await fetch(runtime, "SELECT count(*) AS rows FROM scoring.entry WHERE retracts IS NOT NULL")
    assert backwards[0]["rows"] > 0  # else nothing was late and this shows nothing


async def test_the_kept_figures_are_those_of_the_points_history(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    leads = [Heard(clock) for _ in range(30)]
    chance = random.Random(3)
    await hear(runtime, *[[lead.card(company=chance.choice(["", "Norrvik"])), *lead.born()] for lead in leads])
    for _ in range(6):
        clock.advance(timedelta(days=chance.randrange(5)))
        late = timedelta(days=chance.randrange(3))
        names = ["page_viewed", "pricing_viewed", "asset_downloaded", "form_submitted", "webinar_attended"]
        await hear(runtime, [lead.did(chance.choice(names), time=clock.now() - late) for lead in leads])
    for lead in leads:
        row = (await fetch(runtime, "SELECT * FROM scoring.state WHERE lead_id = $1", lead.lead_id))[0]
        found = (await api.get(f"/v1/leads/{lead.lead_id}/score", params={"as_of": row["as_of"].isoformat()})).json()
        assert [found[name] for name in ("score", "fit", "engagement", "grade")] == [
            row["score"] / 10,
            row["fit"] / 10,
            row["engagement"] / 10,
            row["grade"],
        ]


async def test_a_batch_of_many_leads_takes_a_fixed_number_of_statements(
    runtime: Runtime[Any], clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    prepare = database._prepare  # pyright: ignore[reportPrivateUsage]

    async def listened(connection: Any) -> None:
        await prepare(connection)
        connection.add_query_logger(lambda logged: statements.append(logged.query))

    monkeypatch.setattr(database, "_prepare", listened)
    counts: list[int] = []
    for size in (1, 1, 100):  # the first batch also sets up its connection
        leads = [Heard(clock) for _ in range(size)]
        statements.clear()
        await hear(runtime, *[[lead.card(), *lead.born(), lead.did("demo_requested")] for lead in leads])
        counts.append(len(statements))
    assert counts[1] == counts[2] < 25
    assert (await fetch(runtime, "SELECT count(*) AS rows FROM scoring.state"))[0]["rows"] == 102


async def test_a_changed_score_is_said_with_its_reasons(runtime: Runtime[Any], lead: Heard) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born())
    await hear(runtime, lead.did("pricing_viewed"))
    await hear(runtime, lead.did("page_viewed"), lead.did("looked_out_of_the_window"), lead.card(company="Norrvik AB"))

    changes = [event.data for event in await said(runtime, lead.lead_id) if isinstance(event.data, ScoreChanged)]

    assert [(change.score, change.previous_score, change.temperature) for change in changes] == [
        (25.0, None, "cold"),
        (35.0, 25.0, "cold"),
        (36.0, 35.0, "cold"),
    ]
    assert [(reason.rule, reason.points) for reason in changes[-1].top_reasons] == [
        ("business_email", 15.0),
        ("company_known", 10.0),
        ("looked_at_prices", 10.0),
    ]
    assert {event.attributes.cardversion for event in await said(runtime, lead.lead_id)} == {1, 2}


async def test_what_became_of_mails_and_calls_counts_too(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born())
    await hear(
        runtime,
        lead.told(Opened(journey="welcome", step="one")),
        lead.told(Clicked(journey="welcome", step="one", link="/pricing")),
        lead.told(Bounced(journey="welcome", step="two", permanent=False)),
        lead.told(Unsubscribed()),
        lead.told(Learned(rep="", about="budget", answer="yes")),
    )
    entries = {entry["rule"]: entry["points"] for entry in (await _score(api, lead))["entries"]}
    assert entries == {
        "business_email": 15,
        "company_known": 10,
        "clicked_mail": 4,
        "unsubscribed": -15,
        "budget_confirmed": 15,
    }
    await hear(runtime, lead.told(Learned(rep="", about="budget", answer="no")))
    assert (await _score(api, lead))["fit"] == 10.0


async def test_a_card_that_comes_after_the_call_still_knows_what_was_learned(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.told(Learned(rep="", about="need", answer="no")))
    await hear(runtime, lead.card(company="Norrvik"))
    assert {entry["rule"] for entry in (await _score(api, lead))["entries"]} == {
        "business_email",
        "company_known",
        "no_need",
    }


async def test_a_card_and_a_lesson_of_one_batch_both_count(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card())
    await hear(runtime, lead.told(Learned(rep="", about="need", answer="yes")), lead.card(company="Norrvik"))
    assert {entry["rule"] for entry in (await _score(api, lead))["entries"]} == {
        "business_email",
        "company_known",
        "need_confirmed",
    }


async def test_what_fails_behind_a_late_fact_waits_alone(
    runtime: Runtime[Any], lead: Heard, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late fact has the lead loaded whole, a failing event has it loaded anew: neither may undo the other."""

    def fail_on_some(lead: Lead[Any], event: Envelope[ActivityRecorded], now: datetime) -> None:
        if event.data.activity == "page_viewed":
            raise ZeroDivisionError
        handlers.hear_activity(lead, event, now)

    monkeypatch.setitem(runtime.consumer.handlers, ActivityRecorded, fail_on_some)  # pyright: ignore[reportArgumentType]
    early = clock.now() - timedelta(days=1)
    batch = [lead.did("asset_downloaded"), lead.did("pricing_viewed", time=early), lead.did("page_viewed"), lead.card()]

    await hear(runtime, batch)

    rules = [rule for _, _, rule, _, _ in await net_entries(runtime, lead.lead_id)]
    assert rules == ["looked_at_prices", "business_email", "downloaded"]
    held = await fetch(runtime, "SELECT seq, reason, detail FROM scoring.held")
    assert [(row["seq"], row["reason"]) for row in held] == [(3, "failed")]
    assert "ZeroDivisionError" in held[0]["detail"]


async def test_erasure_leaves_nothing_but_the_bare_id(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born(), lead.did("pricing_viewed", path="/pricing"))
    export = (await api.get(f"/v1/leads/{lead.lead_id}/export")).json()
    assert export["card"][0]["known"]["company"] == "Norrvik"
    assert [row["activity"] for row in export["activities"]] == ["pricing_viewed"]
    assert {row["rule"] for row in export["entries"]} >= {"business_email", "looked_at_prices"}

    await hear(runtime, lead.erased(), lead.did("page_viewed"))

    for table in ("state", "entry", "fact", "card", "mark", "timer", "held"):
        assert not await fetch(runtime, f"SELECT 1 FROM scoring.{table}"), table
    done = (await said(runtime, lead.lead_id))[-1].data
    assert getattr(done, "removed", None) == {"state": 1, "entry": 3, "fact": 1, "card": 1, "mark": 4}
    for path in ("score", "export"):
        assert (await api.get(f"/v1/leads/{lead.lead_id}/{path}")).status_code == 404


async def _score(api: httpx.AsyncClient, lead: Heard) -> dict[str, Any]:
    return (await api.get(f"/v1/leads/{lead.lead_id}/score")).json()
