"""What operators ask of nurture."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from shared.clock import uuid7
from tests.support.nurturing import Nurture, Told, client
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox


async def test_touches_are_told_with_their_moments(api: httpx.AsyncClient, house: Nurture, clock: SetClock) -> None:
    lead = Told(clock)
    await house.hear(lead.registered())
    await house.work()
    items = (await api.get(f"/v1/leads/{lead.lead_id}/touches")).json()["items"]
    assert [(item["step"], item["state"], item["at"], item["reason"]) for item in items] == [
        ("welcome", "sent", "2026-03-03T10:00:00Z", ""),
        ("second", "planned", "2026-03-06T10:00:00Z", "waiting"),
    ]
    assert {(item["journey"], item["cycle"], item["channel"]) for item in items} == {("welcome", 1, "email")}


async def test_a_lead_nobody_spoke_of_is_not_found(api: httpx.AsyncClient) -> None:
    for path in ("touches", "export"):
        answer = await api.get(f"/v1/leads/{uuid7()}/{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_lead_that_was_erased_is_not_found(api: httpx.AsyncClient, house: Nurture, clock: SetClock) -> None:
    lead = Told(clock)
    await house.hear(lead.registered(), lead.erased())
    assert (await api.get(f"/v1/leads/{lead.lead_id}/touches")).status_code == 404


@pytest.mark.parametrize(
    ("stage", "owner"), [("captured", "capture"), ("registered", "scoring"), ("sql", "handover"), ("lost", "scoring")]
)
async def test_nurture_moves_no_lead_and_names_who_may(
    api: httpx.AsyncClient, house: Nurture, clock: SetClock, stage: str, owner: str
) -> None:
    lead = Told(clock)
    await house.hear(lead.card(), lead.moved(stage))
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "disqualified", "reason": "spam"})
    assert answer.status_code == 409
    assert answer.json()["owner"] == owner


async def test_a_move_to_no_stage_is_unreadable(api: httpx.AsyncClient, house: Nurture, clock: SetClock) -> None:
    lead = Told(clock)
    await house.hear(lead.registered())
    answer = await api.post(f"/v1/leads/{lead.lead_id}/stage", json={"to": "warm", "reason": "spam"})
    assert answer.status_code == 422


async def test_only_the_operator_is_answered(house: Nurture) -> None:
    async with client(house.runtime, headers={}) as anybody:
        for path in (f"/v1/leads/{uuid7()}/touches", "/v1/touches", f"/v1/leads/{uuid7()}/export"):
            assert (await anybody.get(path)).status_code == 401
        answer = await anybody.post(f"/v1/leads/{uuid7()}/stage", json={"to": "sql", "reason": "manual"})
        assert answer.status_code == 401


async def test_unknown_touches_are_listed_page_by_page(
    api: httpx.AsyncClient, house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    leads = [Told(clock, email=f"lead{number}@example.com") for number in range(5)]
    mails.drop_after_data = 5
    for lead in leads:
        clock.advance(timedelta(seconds=1))
        await house.hear(lead.registered())
        await house.work()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get("/v1/touches", params={"state": "unknown", "limit": 2, "cursor": cursor})).json()
        assert len(page["items"]) <= 2
        seen += [item["lead_id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == [str(lead.lead_id) for lead in leads]
    assert (await api.get("/v1/touches", params={"state": "failed"})).json() == {"items": [], "next": None}
    assert (await api.get("/v1/touches", params={"state": "sent"})).status_code == 422
    assert (await api.get("/v1/touches", params={"cursor": "made up"})).status_code == 422


async def test_an_export_holds_everything(home: Nurture, clock: SetClock) -> None:
    lead = Told(clock)
    await home.hear(lead.registered(), lead.scored(57.0, "warm"))
    await home.work()
    async with client(home.runtime) as api:
        answer = await api.get(f"/v1/leads/{lead.lead_id}/export")
    held = answer.json()
    assert (held["stage"], held["cycle"], held["test"]) == ("registered", 1, False)
    assert held["person"]["email"] == lead.email
    assert (held["person"]["score"], held["person"]["temperature"]) == (57.0, "warm")
    assert held["person"]["consents"]["marketing"]["granted"] is True
    assert [one["journey"] for one in held["enrolments"]] == ["welcome"]
    assert [(one["step"], one["state"]) for one in held["touches"]] == [("welcome", "sent")]
    assert held["timers"] == {"next_step": "2026-03-06T10:00:00Z"}
    assert lead.email in held["kept_mails"][0]
    assert held["suppressions"] == []
