"""What leads and visitors did comes in bulk; a visitor's past is stitched on once it is known who it was."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.events.topics import Topic
from tests.support.capturing import OPERATOR, SITE, Capturing, at_once
from tests.support.set_clock import SetClock


async def send(capture: Capturing, *activities: Any, headers: dict[str, str] = SITE) -> httpx.Response:
    return await capture.client.post("/v1/activities", json={"activities": list(activities)}, headers=headers)


def viewed(visitor_id: str, url: str = "https://shop.example/", **more: Any) -> dict[str, Any]:
    return {"visitor_id": visitor_id, "type": "page_viewed", "url": url, **more}


async def test_what_a_visitor_did_is_kept_and_stitched_on_at_its_own_time(capture: Capturing, clock: SetClock) -> None:
    start = clock.now()
    ad = {"medium": "cpc", "source": "google", "campaign": "spring"}
    for step, path in enumerate(("landing", "pricing")):
        url = f"https://shop.example/{path}?utm_campaign=spring&secret=1"
        answer = await send(capture, viewed("v1", url, source=ad if step == 0 else {}))
        assert answer.json() == {"accepted": 1, "rejected": []}
        clock.advance(timedelta(minutes=10))
    assert await capture.said() == []

    lead_id = await capture.submit(email="mara@norrvik.example", visitor_id="v1", source={"medium": "email"})
    said = await capture.said(lead_id, Topic.ACTIVITY)
    assert [event.data.activity for event in said] == ["page_viewed", "page_viewed", "form_submitted"]
    assert [event.time - start for event in said] == [timedelta(minutes=m) for m in (0, 10, 20)]
    assert [event.seq for event in said] == [1, 2, 3]
    assert said[0].data.path == "/landing?utm_campaign=spring"
    card = await capture.card(lead_id)
    assert (card["first_touch"]["channel"], card["last_touch"]["channel"]) == ("paid_search", "email")
    assert await capture.value("SELECT count(*) FROM capture.visit") == 0


async def test_a_wish_is_told_with_the_stage_whatever_the_visitor_did_before(capture: Capturing) -> None:
    await send(capture, viewed("v1"), viewed("v1", "/pricing"))
    lead_id = await capture.submit(email="mara@norrvik.example", visitor_id="v1", activity={"type": "demo_requested"})
    registered = (await capture.said(lead_id, Topic.STAGE))[-1].data
    assert (registered.to, registered.asked_for) == ("registered", "demo_requested")


async def test_what_a_known_visitor_does_next_is_the_leads_own(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example", visitor_id="v1")
    await send(capture, viewed("v1"), {"visitor_id": "v1", "type": "pricing_viewed"}, viewed("v2"))
    assert await capture.activities(lead_id) == ["form_submitted", "page_viewed", "pricing_viewed"]
    assert await capture.value("SELECT count(*) FROM capture.visit") == 1


async def test_visitors_of_two_sites_are_two_although_their_ids_are_one(capture: Capturing) -> None:
    await capture.client.put("/v1/sites", json={"key": "pk_shop_1", "name": "shop"}, headers=OPERATOR)
    await send(capture, viewed("v1"), headers={"X-Site-Key": "pk_shop_1"})
    lead_id = await capture.submit(email="mara@norrvik.example", visitor_id="v1")
    assert await capture.activities(lead_id) == ["form_submitted"]


async def test_each_wrong_activity_is_named_and_the_others_are_taken(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example")
    stranger = str(uuid4())
    answer = await send(
        capture,
        {"lead_id": str(lead_id), "type": "page_viewed"},
        {"lead_id": stranger, "type": "page_viewed"},
        {"lead_id": str(lead_id), "type": "page_view"},
        {"lead_id": "no id", "type": "page_viewed"},
        {"type": "page_viewed"},
        {"lead_id": str(lead_id), "type": "purchase"},
        {"lead_id": str(lead_id), "type": "purchase", "value": "99.90", "currency": "SEK"},
        {"lead_id": str(lead_id), "typo": 1},
        7,
        {"lead_id": str(lead_id), "type": "call", "duration_seconds": 95, "outcome": "Spoke to them", "text": "secret"},
        headers=OPERATOR,
    )
    assert answer.status_code == 202
    said = answer.json()
    assert said["accepted"] == 3
    reasons = {one["index"]: one["reason"] for one in said["rejected"]}
    assert sorted(reasons) == [1, 2, 3, 4, 5, 7, 8]
    assert reasons[1] == "no such lead"
    assert reasons[2] == "/type is not a known activity type; did you mean page_viewed?"
    assert reasons[7] == "/typo is not known here; did you mean type?"
    call = (await capture.said(lead_id, Topic.ACTIVITY))[-1].data
    assert (call.activity, call.duration_seconds, call.outcome, call.text_length) == ("call", 95, "spoke_to_them", 6)
    assert await capture.value("SELECT text FROM capture.note") == "secret"


async def test_a_site_key_speaks_of_visitors_only(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example")
    answer = await send(
        capture,
        {"lead_id": str(lead_id), "type": "page_viewed"},
        {"visitor_id": "v1", "type": "flagged", "reason": "spam"},
        {"visitor_id": "v1", "type": "page_viewed", "history": True},
    )
    assert answer.json()["accepted"] == 0
    assert all("operator's key" in one["reason"] for one in answer.json()["rejected"])


async def test_an_activity_may_prove_a_captured_lead_real_or_flag_it(capture: Capturing) -> None:
    buyer = await capture.submit(email="buyer@mailinator.com")
    spammer = await capture.submit(email="spammer@mailinator.com")
    await send(
        capture,
        {"lead_id": str(buyer), "type": "purchase", "value": 10, "currency": "usd"},
        {"lead_id": str(spammer), "type": "flagged", "reason": "spam"},
        headers=OPERATOR,
    )
    assert (await capture.stages(buyer))[-1] == ("registered", "purchase")
    assert (await capture.stages(spammer))[-1] == ("disqualified", "spam")


async def test_a_thousand_are_taken_in_one_call_and_one_more_is_refused(capture: Capturing) -> None:
    leads = [await capture.submit(email=f"p{n}@norrvik.example") for n in range(10)]
    many = [{"lead_id": str(leads[n % 10]), "type": "page_viewed", "url": f"/p/{n}"} for n in range(1000)]
    answer = await send(capture, *many, headers=OPERATOR)
    assert answer.json() == {"accepted": 1000, "rejected": []}
    said = await capture.said(leads[3], Topic.ACTIVITY)
    assert [event.data.path for event in said[1:]] == [f"/p/{n}" for n in range(3, 1000, 10)]
    refused = await send(capture, *many, many[0], headers=OPERATOR)
    assert refused.status_code == 422
    assert (await send(capture)).status_code == 422


async def test_a_body_may_have_a_megabyte_and_no_more(capture: Capturing) -> None:
    def body(size: int) -> bytes:
        text = b'{"activities": [{"visitor_id": "v1", "type": "page_viewed"}]}'
        return text + b" " * (size - len(text))

    fits = await capture.client.post("/v1/activities", content=body(1_000_000), headers=SITE)
    large = await capture.client.post("/v1/activities", content=body(1_000_001), headers=SITE)
    assert (fits.status_code, large.status_code) == (202, 413)


async def test_a_repeated_call_with_its_key_is_counted_once(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example")
    headers = {**OPERATOR, "Idempotency-Key": "k"}
    item = {"lead_id": str(lead_id), "type": "page_viewed"}
    first, second = await send(capture, item, headers=headers), await send(capture, item, headers=headers)
    other = await send(capture, item, item, headers=headers)
    assert (first.text, other.status_code) == (second.text, 422)
    assert await capture.activities(lead_id) == ["form_submitted", "page_viewed"]


async def test_calls_at_the_same_time_share_transactions_and_get_an_answer_each(capture: Capturing) -> None:
    lead_id = await capture.submit(email="mara@norrvik.example")
    did, unknown = {"lead_id": str(lead_id), "type": "page_viewed"}, {"lead_id": str(uuid4()), "type": "page_viewed"}
    used, new = ({**OPERATOR, "Idempotency-Key": key} for key in ("used", "new"))
    before = await send(capture, did, headers=used)
    *plain, repeated, reused, stranger, one, another = await asyncio.gather(
        *(send(capture, did, did, unknown, headers=OPERATOR) for _ in range(10)),
        send(capture, did, headers=used),
        send(capture, did, did, headers=used),
        send(capture, unknown, headers=OPERATOR),
        send(capture, did, headers=new),
        send(capture, did, headers=new),
    )
    assert [answer.json()["accepted"] for answer in plain] == [2] * 10
    assert repeated.content == before.content
    assert (reused.status_code, stranger.json()["accepted"]) == (422, 0)
    assert {202} <= {one.status_code, another.status_code} <= {202, 409}
    assert [event.seq for event in await capture.said(lead_id, Topic.ACTIVITY)] == list(range(1, 1 + 1 + 1 + 20 + 1))
    transactions = "SELECT count(DISTINCT xmin::text) FROM bus.capture_log WHERE type LIKE '%activity%'"
    assert await capture.value(transactions) < 2 + 10


async def test_no_visit_is_lost_when_it_comes_while_the_visitor_says_who_it_is(capture: Capturing) -> None:
    for n in range(10):
        await at_once(
            *(send(capture, viewed(f"v{n}", f"/{step}")) for step in range(4)),
            capture.submit(email=f"p{n}@norrvik.example", visitor_id=f"v{n}"),
            *(send(capture, viewed(f"v{n}", f"/{step}")) for step in range(4, 8)),
        )
    assert await capture.value("SELECT count(*) FROM capture.visit") == 0
    rows = await capture.fetch(
        "SELECT lead_id, count(*) AS count FROM bus.capture_log WHERE topic = 'leads.activity' GROUP BY lead_id"
    )
    assert [row["count"] for row in rows] == [9] * 10


async def test_visitors_who_never_said_who_they_are_are_forgotten(capture: Capturing, clock: SetClock) -> None:
    from services.capture.upkeep import forget

    await send(capture, viewed("old"))
    await capture.submit(email="mara@norrvik.example", visitor_id="known")
    clock.advance(timedelta(days=89))
    await send(capture, viewed("new"))
    assert await forget(capture.runtime) == 0
    clock.advance(timedelta(days=2))
    assert await forget(capture.runtime) == 1
    left = await capture.fetch("SELECT visitor_id FROM capture.visitor ORDER BY 1")
    assert [row["visitor_id"] for row in left] == ["known", "new"]
    assert await capture.value("SELECT count(*) FROM capture.visit") == 1
