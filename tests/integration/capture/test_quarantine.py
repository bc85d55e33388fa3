"""What no person can have sent is put aside with its reason, and can be taken in after all."""

from __future__ import annotations

from uuid import uuid4

import httpx

from tests.support.capturing import OPERATOR, SITE, Capturing

TRAPPED = {"email": "bot@norrvik.example", "name": "Bot", "website": "http://spam.example", "message": "Buy!"}


async def release(capture: Capturing, submission_id: str) -> httpx.Response:
    return await capture.client.post(f"/v1/quarantine/{submission_id}/release", headers=OPERATOR)


async def test_a_filled_trap_puts_the_submission_aside_and_nothing_is_said(capture: Capturing) -> None:
    answer = await capture.post(SITE, **TRAPPED)
    assert answer.status_code == 202
    assert await capture.said() == []
    listed = (await capture.client.get("/v1/quarantine", headers=OPERATOR)).json()
    assert listed["next"] is None
    (item,) = listed["items"]
    assert (item["submission_id"], item["reason"], item["site"]) == (
        answer.json()["submission_id"],
        "honeypot",
        "demo",
    )
    assert item["submission"]["email"] == "bot@norrvik.example"
    assert await capture.value("SELECT count(*) FROM capture.lead") == 0


async def test_the_operator_sees_that_no_lead_came_of_it(capture: Capturing) -> None:
    answer = await capture.post(OPERATOR, **TRAPPED)
    assert (answer.json()["lead_id"], answer.json()["created"]) == (None, False)


async def test_what_is_released_becomes_the_lead_it_would_have_been_once(capture: Capturing) -> None:
    submission_id = (await capture.post(SITE, **TRAPPED, activity={"type": "demo_requested"})).json()["submission_id"]
    first = (await release(capture, submission_id)).json()
    assert first["created"] is True
    assert (await release(capture, submission_id)).json() == first
    card = await capture.card(first["lead_id"])
    assert (card["email"], card["stage"]) == ("bot@norrvik.example", "registered")
    assert await capture.value("SELECT count(*) FROM bus.capture_log WHERE topic = 'leads.activity'") == 1
    (item,) = (await capture.client.get("/v1/quarantine", headers=OPERATOR)).json()["items"]
    assert item["lead_id"] == first["lead_id"]
    assert item["released_at"] is not None


async def test_a_repeated_trapped_post_is_put_aside_once(capture: Capturing) -> None:
    headers = {**SITE, "Idempotency-Key": "k"}
    first, second = await capture.post(headers, **TRAPPED), await capture.post(headers, **TRAPPED)
    assert first.text == second.text
    assert await capture.value("SELECT count(*) FROM capture.quarantine") == 1


async def test_what_was_never_put_aside_cannot_be_released(capture: Capturing) -> None:
    assert (await release(capture, str(uuid4()))).status_code == 404


async def test_forgetting_a_person_forgets_what_was_put_aside_of_them(capture: Capturing) -> None:
    await capture.post(SITE, **TRAPPED)
    lead_id = await capture.submit(email="bot@norrvik.example")
    await capture.client.delete(f"/v1/leads/{lead_id}", headers=OPERATOR)
    assert await capture.value("SELECT count(*) FROM capture.quarantine") == 0
