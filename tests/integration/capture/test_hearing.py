"""What the other services say changes the card and the lead's standing, each fact once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.events.handover import Learned
from shared.events.nurture import Bounced, Unsubscribed
from shared.events.stage import StageChanged
from shared.events.topics import Topic
from tests.support.capturing import OPERATOR, Capturing
from tests.support.set_clock import SetClock

CONSENT = {"marketing": {"granted": True, "text": "Send me mail"}, "contact": {"granted": True, "text": "Call me"}}


async def move(capture: Capturing, lead_id: UUID, to: str, reason: str) -> httpx.Response:
    path = f"/v1/leads/{lead_id}/stage"
    return await capture.client.post(path, json={"to": to, "reason": reason}, headers=OPERATOR)


async def versions(capture: Capturing, lead_id: UUID) -> list[int]:
    return [event.seq for event in await capture.said(lead_id, Topic.CARD)]


async def test_who_unsubscribes_has_taken_the_marketing_consent_back(capture: Capturing, clock: SetClock) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", consent=CONSENT)
    clock.advance(timedelta(hours=1))
    await capture.hear(lead_id, Unsubscribed(by="link"), 1)
    consent = (await capture.card(lead_id))["consent"]
    assert consent["marketing"]["granted"] is False
    assert consent["marketing"]["source"] == "unsubscribed"
    assert consent["marketing"]["text"] == "Send me mail", "the words once shown stay"
    assert consent["marketing_email"]["granted"] is False
    assert consent["contact"]["granted"] is True
    assert await versions(capture, lead_id) == [1, 2]
    proofs = await capture.fetch("SELECT purpose, granted, source FROM capture.consent_record ORDER BY number")
    assert [tuple(row) for row in proofs] == [
        ("marketing", True, "submission"),
        ("contact", True, "submission"),
        ("marketing", False, "unsubscribed"),
        ("marketing_email", False, "unsubscribed"),
    ]


async def test_a_consent_given_later_is_not_taken_back_by_an_older_word(capture: Capturing, clock: SetClock) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", consent=CONSENT)
    before = clock.now()
    clock.advance(timedelta(hours=1))
    await capture.submit(email="mara@norrvik.example", consent=CONSENT)
    await capture.hear(lead_id, Unsubscribed(), 1, time=before + timedelta(minutes=5))
    assert (await capture.card(lead_id))["consent"]["marketing"]["granted"] is True


@pytest.mark.parametrize(("permanent", "granted"), [(True, False), (False, True)])
async def test_an_address_that_does_not_exist_gets_no_more_mail(
    capture: Capturing, permanent: bool, granted: bool
) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", consent=CONSENT)
    await capture.hear(lead_id, Bounced(journey="welcome", step="one", permanent=permanent), 1)
    assert (await capture.card(lead_id))["consent"]["marketing"]["granted"] is granted


async def test_the_same_word_heard_twice_changes_the_card_once(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", consent=CONSENT)
    for _ in range(3):
        await capture.hear(lead_id, Unsubscribed(), 1)
    await capture.hear(lead_id, Unsubscribed(), 2)
    assert await versions(capture, lead_id) == [1, 2]


async def test_what_a_call_taught_is_on_the_card(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", fields={"fleet": "11"})
    await capture.hear(lead_id, Learned(about="budget", answer="yes"), 1)
    await capture.hear(lead_id, Learned(about="budget", answer="yes"), 2)
    assert (await capture.card(lead_id))["answers"] == {"fleet": "11", "bant.budget": "yes"}
    assert await versions(capture, lead_id) == [1, 2]


async def test_stages_said_by_others_are_kept_and_end_the_waiting(capture: Capturing, clock: SetClock) -> None:
    lead_id = await capture.submit(email="mara@mailinator.com")
    assert await capture.value("SELECT count(*) FROM capture.timer") == 1
    moved = await move(capture, lead_id, "registered", "spoken_to")
    assert moved.status_code == 200, moved.text
    assert moved.json() == {"lead_id": str(lead_id), "stage": "registered", "cycle": 1, "reason": "spoken_to"}
    assert await capture.value("SELECT count(*) FROM capture.timer") == 0
    event = StageChanged(from_="registered", to="mql", seq=3, cycle=1, reason="score_reached")
    await capture.hear(lead_id, event, 3)
    assert (await capture.card(lead_id))["stage"] == "mql"
    assert [row["seq"] for row in await capture.fetch("SELECT seq FROM capture.stage_heard")] == [3]
    clock.advance(timedelta(days=40))
    assert await capture.fire_timers() == 0


async def test_a_person_moves_a_lead_that_is_captures_and_is_told_who_owns_one_that_is_not(
    capture: Capturing,
) -> None:
    lead_id = await capture.submit(email="mara@mailinator.com")
    assert (await move(capture, lead_id, "sql", "manual")).status_code == 409
    assert (await move(capture, lead_id, "nowhere", "manual")).status_code == 422
    assert (await move(capture, lead_id, "disqualified", "spam")).status_code == 200
    moved = (await capture.said(lead_id, Topic.STAGE))[-1]
    assert (moved.data.to, moved.attributes.actorkind) == ("disqualified", "person")
    refused = await move(capture, lead_id, "registered", "released")
    assert refused.status_code == 409
    assert refused.json()["owner"] == "scoring"


async def test_a_lead_that_moved_on_is_not_moved_again_by_what_it_sends(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example")
    event = StageChanged(from_="registered", to="sql", seq=3, cycle=1, reason="demo_requested")
    await capture.hear(lead_id, event, 3)
    money: dict[str, Any] = {"type": "purchase", "value": "10"}
    await capture.submit(email="mara@norrvik.example", activity=money)
    assert len(await capture.stages(lead_id)) == 2
    assert await capture.activities(lead_id) == ["form_submitted", "purchase"]
