"""When scoring moves a lead, and when it leaves that to others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clock import uuid7
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.events.topics import Topic
from shared.service import Runtime
from tests.support.scored_leads import Heard, fetch, fire, hear, said, stages_said
from tests.support.set_clock import SetClock

DAY = timedelta(days=1)


async def with_sales(runtime: Runtime[Any], lead: Heard) -> None:
    """A lead that asked for a demo and was accepted by a rep."""
    await hear(runtime, lead.card(), lead.did("demo_requested"), lead.born(asked_for="demo_requested"))
    lead.follow("sql")
    await hear(runtime, lead.moved("handed_over", "offered"), lead.moved("accepted", "accepted"))


async def test_a_stage_event_says_all_that_sales_must_know(runtime: Runtime[Any], lead: Heard) -> None:
    asking = lead.did("demo_requested")
    await hear(runtime, lead.card(company="Norrvik"), lead.born(), asking)

    event = (await said(runtime, lead.lead_id))[-1]
    moved = event.data

    assert isinstance(moved, StageChanged)
    assert (moved.from_, moved.to, moved.reason, moved.seq, moved.cycle) == (
        "registered", "sql", "demo_requested", 3, 1,
    )  # fmt: skip
    assert (moved.rule, moved.rule_version, moved.asked_for) == ("requests.demo_requested", 1, "demo_requested")
    assert (moved.score, moved.temperature) == (65.0, "hot")
    assert [reason.rule for reason in moved.top_reasons] == ["asked_for_demo", "business_email", "company_known"]
    assert event.attributes.causationid == str(asking.event_id)
    assert event.attributes.site == "demo"


@pytest.mark.parametrize("activity", ["demo_requested", "contact_requested", "call"])
@pytest.mark.parametrize("email", ["mara@norrvik.example", "mara@gmail.com"])
async def test_who_asks_is_sales_ready_at_once_whatever_the_mail_domain(
    runtime: Runtime[Any], clock: SetClock, activity: str, email: str
) -> None:
    heard_first, said_first = Heard(clock, email), Heard(clock, email)
    await hear(runtime, heard_first.card(), heard_first.did(activity), heard_first.born())
    await hear(runtime, said_first.card(), said_first.born(asked_for=activity), said_first.did(activity))
    reason = "inbound_call" if activity == "call" else activity
    for lead in (heard_first, said_first):
        assert await stages_said(runtime, lead.lead_id) == [("sql", reason)]


async def test_a_request_from_an_address_that_reaches_nobody_waits(runtime: Runtime[Any], lead: Heard) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("demo_requested", contact_valid=False))
    assert "sql" not in [to for to, _ in await stages_said(runtime, lead.lead_id)]


async def test_points_take_a_lead_up_and_decay_takes_it_down_once(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born())
    await hear(runtime, lead.did("asset_downloaded"))
    await hear(runtime, lead.did("webinar_attended"))
    assert await stages_said(runtime, lead.lead_id) == [("iql", "content_requested"), ("mql", "fit_and_engagement")]

    timers = await fetch(runtime, "SELECT name, due_at FROM scoring.timer")
    assert [row["name"] for row in timers] == ["cool"]
    while due := await fetch(runtime, "SELECT name, due_at FROM scoring.timer"):
        assert len(due) == 1
        clock.set(due[0]["due_at"] - timedelta(microseconds=1))
        assert await fire(runtime) == 0
        clock.set(due[0]["due_at"])
        assert await fire(runtime) == 1

    assert (await stages_said(runtime, lead.lead_id))[2:] == [("iql", "score_fell")]
    temperatures = [e.data.temperature for e in await said(runtime, lead.lead_id) if isinstance(e.data, ScoreChanged)]
    assert temperatures == ["cold", "cold", "warm", "cold", "cold"]


async def test_a_year_between_two_events_is_one_timer_row_and_one_stage_event(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(company="Norrvik"), lead.born())
    await hear(runtime, lead.did("asset_downloaded"), lead.did("webinar_attended"))
    rows: set[int] = set()
    for _ in range(365 * 2):
        rows.add((await fetch(runtime, "SELECT count(*) AS rows FROM scoring.timer"))[0]["rows"])
        clock.advance(DAY / 2)
        await fire(runtime)
    assert rows == {0, 1}
    assert (await stages_said(runtime, lead.lead_id))[2:] == [("iql", "score_fell")]

    await hear(runtime, lead.did("asset_downloaded"), lead.did("webinar_attended"))

    assert (await stages_said(runtime, lead.lead_id))[3:] == [("mql", "fit_and_engagement")]
    assert len(await fetch(runtime, "SELECT 1 FROM scoring.timer")) == 1


async def test_a_year_of_which_nobody_was_told_comes_to_the_same(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    """The service was away: one look at the end finds what was crossed."""
    await hear(runtime, lead.card(company="Norrvik"), lead.born())
    await hear(runtime, lead.did("asset_downloaded"), lead.did("webinar_attended"))
    clock.advance(365 * DAY)
    assert await fire(runtime) == 1
    assert (await stages_said(runtime, lead.lead_id))[2:] == [("iql", "score_fell")]
    assert not await fetch(runtime, "SELECT 1 FROM scoring.timer")


async def test_while_sales_has_a_lead_it_is_scored_and_never_moved(runtime: Runtime[Any], lead: Heard) -> None:
    await with_sales(runtime, lead)
    before = len(await said(runtime, lead.lead_id))
    await hear(runtime, lead.did("contact_requested"), lead.did("flagged", reason="spam"), lead.did("purchase"))
    later = (await said(runtime, lead.lead_id))[before:]
    assert later
    assert {type(event.data) for event in later} == {ScoreChanged}


async def test_a_returned_lead_is_ready_again_only_by_a_request_after_the_return(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await with_sales(runtime, lead)
    await hear(runtime, lead.did("contact_requested"))
    clock.advance(DAY)
    await hear(runtime, lead.moved("returned", "not_interested"))
    await hear(runtime, lead.did("webinar_attended"), lead.did("demo_requested", time=clock.now() - timedelta(hours=3)))
    assert await stages_said(runtime, lead.lead_id) == [("sql", "demo_requested")]
    clock.advance(DAY)
    await hear(runtime, lead.did("contact_requested"))
    assert (await stages_said(runtime, lead.lead_id))[1:] == [("sql", "contact_requested")]


async def test_a_request_heard_before_the_return_that_it_follows_is_not_lost(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await with_sales(runtime, lead)
    clock.advance(DAY)
    returned = lead.moved("returned", "not_ready")
    clock.advance(DAY)
    await hear(runtime, lead.did("demo_requested"))
    await hear(runtime, returned)
    assert (await stages_said(runtime, lead.lead_id))[1:] == [("sql", "demo_requested")]


async def test_when_the_hold_of_its_reason_ends_a_lead_is_judged_again(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await with_sales(runtime, lead)
    await hear(runtime, lead.moved("returned", "no_budget"))
    timers = await fetch(runtime, "SELECT name, due_at FROM scoring.timer ORDER BY name")
    assert [row["name"] for row in timers] == ["cool", "hold"]
    assert timers[1]["due_at"] == clock.now() + 90 * DAY
    for _ in range(89):
        clock.advance(DAY)
        await fire(runtime)
    assert (await stages_said(runtime, lead.lead_id))[1:] == []
    clock.advance(DAY)
    await fire(runtime)
    assert (await stages_said(runtime, lead.lead_id))[1:] == [("iql", "hold_ended")]
    assert not await fetch(runtime, "SELECT 1 FROM scoring.timer WHERE name = 'hold'")


async def test_a_purchase_known_before_the_lead_is_ours_makes_it_a_customer_then(
    runtime: Runtime[Any], lead: Heard
) -> None:
    await with_sales(runtime, lead)
    await hear(runtime, lead.did("purchase", value="4800.00", currency="EUR"))
    await hear(runtime, lead.moved("lost", "no_decision"))
    event = (await said(runtime, lead.lead_id))[-1].data
    assert isinstance(event, StageChanged)
    assert (event.to, event.reason, event.value, event.currency) == ("customer", "purchase", "4800.00", "EUR")


async def test_who_bought_before_being_registered_is_a_customer(runtime: Runtime[Any], lead: Heard) -> None:
    """Capture registers whoever pays; the stage event alone carries what was paid."""
    await hear(runtime, lead.card(), lead.born("purchase", value="10.00", currency="SEK"))
    event = (await said(runtime, lead.lead_id))[-1].data
    assert isinstance(event, StageChanged)
    assert (event.to, event.value, event.currency) == ("customer", "10.00", "SEK")


async def test_a_flag_disqualifies_and_a_late_purchase_still_makes_a_customer(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("flagged", reason="not_icp"))
    clock.advance(DAY)
    await hear(runtime, lead.did("pricing_viewed"), lead.did("demo_requested"))
    await hear(runtime, lead.did("purchase", value="10.00", currency="EUR"))
    assert await stages_said(runtime, lead.lead_id) == [("disqualified", "not_icp"), ("customer", "purchase")]


async def test_a_disqualified_lead_comes_back_by_asking_when_its_reason_lets_it(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("flagged", reason="no_budget"))
    clock.advance(DAY)
    await hear(runtime, lead.did("demo_requested"))
    assert await stages_said(runtime, lead.lead_id) == [
        ("disqualified", "no_budget"),
        ("registered", "new_interest"),
        ("sql", "demo_requested"),
    ]


async def test_a_customer_in_a_new_cycle_is_not_a_customer_by_the_old_purchase(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("purchase", value="10.00", currency="EUR"))
    lead.follow("customer")
    clock.advance(DAY)
    asking = lead.did("demo_requested")
    clock.advance(DAY / 1000)
    begun = lead.moved("registered", "new_cycle", cause=str(asking.event_id), asked_for="demo_requested")
    await hear(runtime, begun, asking)
    assert await stages_said(runtime, lead.lead_id) == [("customer", "purchase"), ("sql", "demo_requested")]
    sold = (await said(runtime, lead.lead_id))[-1].data
    assert sold.cycle == 2  # pyright: ignore[reportAttributeAccessIssue]


async def test_history_moves_nobody_until_it_is_judged_and_sets_no_timer(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    past = clock.now() - 10 * DAY
    told = {"history": True, "time": past}
    await hear(runtime, lead.card(company="Norrvik", **told), lead.born(history=True))
    await hear(runtime, lead.did("asset_downloaded", **told), lead.did("webinar_attended", **told))
    events = await said(runtime, lead.lead_id)
    assert {type(event.data) for event in events} == {ScoreChanged}
    assert all(event.history for event in events)
    assert not await fetch(runtime, "SELECT 1 FROM scoring.timer")

    await hear(runtime, lead.did("import_ended", judge=True, history=True))

    (moved,) = [event for event in await said(runtime, lead.lead_id) if isinstance(event.data, StageChanged)]
    assert (moved.data.to, moved.history, moved.time) == ("iql", True, clock.now())
    assert moved.data.score == 44.8  # as of now, ten days later
    assert len(await fetch(runtime, "SELECT 1 FROM scoring.timer WHERE name = 'cool'")) == 1


async def test_an_imported_deal_makes_a_customer_at_its_own_date(
    runtime: Runtime[Any], lead: Heard, clock: SetClock
) -> None:
    began, bought = clock.now() - 400 * DAY, clock.now() - 300 * DAY
    deal = lead.did("purchase", value="900.00", currency="EUR", history=True, time=bought)
    captured = lead.moved("captured", "first_interest", history=True, time=began)
    registered = lead.moved("registered", "contact_valid", history=True, time=began)
    await hear(runtime, lead.card(history=True, time=began), deal, captured, registered)

    (moved,) = [event for event in await said(runtime, lead.lead_id) if isinstance(event.data, StageChanged)]

    assert (moved.data.to, moved.time, moved.history) == ("customer", bought, True)
    await hear(runtime, lead.did("import_ended", judge=True, history=True))
    assert await stages_said(runtime, lead.lead_id) == [("customer", "purchase")]


async def test_test_leads_are_scored_like_others(runtime: Runtime[Any], clock: SetClock) -> None:
    lead = Heard(clock, test=True)
    await hear(runtime, lead.card(), lead.born(asked_for="demo_requested"))
    events = await said(runtime, lead.lead_id)
    assert [event.attributes.test for event in events] == [True] * len(events)
    assert await stages_said(runtime, lead.lead_id) == [("sql", "demo_requested")]


async def test_a_merged_lead_waits_and_goes_on_when_it_is_taken_apart(runtime: Runtime[Any], lead: Heard) -> None:
    await hear(runtime, lead.card(), lead.born())
    await hear(runtime, lead.moved("merged", "merged"))
    await hear(runtime, lead.did("demo_requested"))
    assert await stages_said(runtime, lead.lead_id) == []
    assert not await fetch(runtime, "SELECT 1 FROM scoring.held")
    await hear(runtime, lead.moved("registered", "unmerged"))
    assert await stages_said(runtime, lead.lead_id) == [("sql", "demo_requested")]


async def test_where_a_person_puts_a_lead_points_leave_it_for_a_while(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.born(), lead.did("pricing_viewed"), lead.did("chat_message"))
    await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "mql", "reason": "manual"})
    timers = await fetch(runtime, "SELECT name FROM scoring.timer ORDER BY name")
    assert [row["name"] for row in timers] == ["cool", "hold"]  # below the line of mql, and still to cool from warm
    for _ in range(30):
        clock.advance(DAY)
        await hear(runtime, lead.did("looked_out_of_the_window"))
        assert (await stages_said(runtime, lead.lead_id))[1:2] == [("mql", "manual")]
        await fire(runtime)
    assert (await stages_said(runtime, lead.lead_id))[2:] == [("iql", "score_fell")]


async def test_a_person_moves_a_lead_that_is_ours(runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard) -> None:
    await hear(runtime, lead.card(), lead.born())
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "sql", "reason": "manual"})
    assert (answer.status_code, answer.json()["stage"]) == (200, "sql")
    event = (await said(runtime, lead.lead_id))[-1]
    assert event.attributes.actorkind == "person"
    again = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "mql", "reason": "manual"})
    assert (again.status_code, again.json()["owner"]) == (409, "handover")


async def test_a_lead_that_a_person_lets_back_in_gets_what_it_asked_for(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    await hear(runtime, lead.card(), lead.did("demo_requested"), lead.did("flagged", reason="spam"))
    await hear(runtime, lead.moved("captured", "first_interest"), lead.moved("disqualified", "spam"))
    clock.advance(DAY)
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "registered", "reason": "released"})
    assert (answer.status_code, answer.json()["stage"]) == (200, "sql")
    assert await stages_said(runtime, lead.lead_id) == [("registered", "released"), ("sql", "demo_requested")]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"to": "mql", "reason": "manual"}, 200),
        ({"to": "accepted", "reason": "accepted"}, 409),
        ({"to": "mql", "reason": "because"}, 409),
        ({"to": "nowhere", "reason": "manual"}, 422),
        ({"to": "mql"}, 422),
        ({"to": "mql", "reason": "manual", "why": "x"}, 422),
        ({"to": "disqualified", "reason": "no_budget"}, 200),
    ],
)
async def test_a_move_that_the_graph_does_not_know_is_refused(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, wish: dict[str, str], status: int
) -> None:
    await hear(runtime, lead.card(), lead.born())
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json=wish)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(
        "application/json" if status == 200 else "application/problem+json"
    )


async def test_a_lead_that_nobody_has_captured_is_captures(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard
) -> None:
    await hear(runtime, lead.card())
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "captured", "reason": "manual"})
    assert (answer.status_code, answer.json()["owner"]) == (409, "capture")
    unknown = await api.post(f"/v1/leads/{uuid7()}/stage", json={"to": "mql", "reason": "manual"})
    assert unknown.status_code == 404


async def test_stage_numbers_go_on_from_the_event_that_gave_us_the_lead(runtime: Runtime[Any], lead: Heard) -> None:
    await with_sales(runtime, lead)
    await hear(runtime, lead.moved("returned", "not_ready"))
    await hear(runtime, lead.did("contact_requested", time=runtime.clock.now() + timedelta(seconds=1)))
    numbers = [event.seq for event in await said(runtime, lead.lead_id) if event.topic is Topic.STAGE]
    assert numbers == [3, 7]
