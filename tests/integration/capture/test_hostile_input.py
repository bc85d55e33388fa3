"""Whatever is typed or sent, the service stays up, stores what it took, and says nothing of it elsewhere."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from tests.support.capturing import OPERATOR, SITE, Capturing, at_once

AT_ONCE = 64


async def all_of(posts: list[Any]) -> list[Any]:
    answers: list[Any] = []
    for start in range(0, len(posts), AT_ONCE):
        answers += await at_once(*posts[start : start + AT_ONCE])
    return answers


async def test_every_naughty_string_is_stored_in_every_member_and_read_back(
    capture: Capturing, shared_data: Path
) -> None:
    naughty = json.loads((shared_data / "bad-input" / "blns.json").read_text())
    bodies = [
        {
            "email": f"p{n}@norrvik.example",
            "name": text[:200],
            "message": text,
            "fields": {text[:100].strip() or "f": text},
            "source": {"campaign": text, "url": text, "referrer": text},
            "visitor_id": text[:100],
            "consent": {"marketing": {"granted": True, "text": text}},
        }
        for n, text in enumerate(naughty)
    ]
    answers = await all_of([capture.post(OPERATOR, site="demo", **body) for body in bodies])
    assert {answer.status_code for answer in answers} <= {202, 422}
    taken = [answer for answer in answers if answer.status_code == 202]
    assert len(taken) > 500
    for answer in taken[::25]:
        lead_id = answer.json()["lead_id"]
        assert (await capture.card(lead_id))["email"].endswith("@norrvik.example")
        assert (await capture.client.get(f"/v1/leads/{lead_id}/export", headers=OPERATOR)).status_code == 200
    log = await capture.value("SELECT string_agg(attributes || body, '') FROM bus.capture_log")
    assert "<script" not in log.lower()


async def test_every_address_of_the_corpus_is_taken_or_refused_at_its_place(
    capture: Capturing, shared_data: Path
) -> None:
    cases = ET.parse(shared_data / "bad-input" / "isemail-tests-original.xml").getroot().findall("test")
    addresses = [case.findtext("address") or "" for case in cases]
    answers = await all_of([capture.post(email=address) for address in addresses])
    for address, answer in zip(addresses, answers, strict=True):
        assert answer.status_code in (202, 422), address
        if answer.status_code == 422:
            assert answer.json()["errors"][0]["pointer"] == "/email"
            assert address == "" or len(address) < 4 or address not in answer.text


async def test_every_example_number_of_every_country_is_taken_or_refused(capture: Capturing, shared_data: Path) -> None:
    examples = json.loads((shared_data / "bad-input" / "phone_examples.json").read_text())[::4]
    answers = await all_of([capture.post(phone=example["international"]) for example in examples])
    expected = [202 if example["valid"] else 422 for example in examples]
    wrong = [e for e, a, code in zip(examples, answers, expected, strict=True) if a.status_code != code]
    assert wrong == []


async def test_a_key_of_any_shape_is_taken_or_refused(capture: Capturing) -> None:
    body = {"email": "m@norrvik.example"}
    assert (await capture.post({**SITE, "Idempotency-Key": "x" * 255}, **body)).status_code == 202
    assert (await capture.post({**SITE, "Idempotency-Key": "x" * 256}, **body)).status_code == 422
    assert (
        await capture.post({**SITE, "Idempotency-Key": "'; DROP TABLE capture.lead; --"}, **body)
    ).status_code == 202
    assert (await capture.post(SITE, **body, submission_id="ключ")).status_code == 202
    assert (await capture.post(SITE, **body, submission_id="a\u0000b")).status_code == 422
    assert (await capture.post({"X-Site-Key": "pk_' OR 1=1"}, **body)).status_code == 403
    assert (await capture.post(SITE, **body, submission_id="x" * 300)).status_code == 422


async def test_a_nul_in_any_place_is_refused_or_left_out(capture: Capturing) -> None:
    answers = [
        await capture.client.delete("/v1/sites/pk_%00", headers=OPERATOR),
        await capture.client.put("/v1/sites", json={"name": "shop", "product": "a\0b"}, headers=OPERATOR),
        await capture.client.get("/v1/reviews", params={"cursor": "\0"}, headers=OPERATOR),
        await capture.client.post("/v1/leads?site=pk_%00", json={"email": "m@norrvik.example"}),
        await capture.client.get("/demo?utm_source=%00&gclid=%00"),
        await capture.post(SITE, email="m@norrvik.example", visitor_id="v\0", product="p\0", language="e\0n"),
        await capture.client.post(
            "/v1/activities", json={"activities": [{"visitor_id": "v\0", "type": "sms"}]}, headers=SITE
        ),
    ]
    assert [answer.status_code for answer in answers] == [404, 422, 422, 403, 200, 202, 202]
