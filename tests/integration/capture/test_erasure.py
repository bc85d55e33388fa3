"""A lead is forgotten everywhere, with a report, and the same person writing again is somebody new."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.events.capture import CardErased
from shared.events.nurture import Unsubscribed
from shared.events.privacy import ErasureDone
from shared.events.topics import SERVICES
from tests.support.capturing import OPERATOR, SITE, Capturing, at_once

PERSON: dict[str, Any] = {
    "email": "zebulon@norrvik.example",
    "phone": "+46701740642",
    "name": "Zebulon Quist",
    "company": "Norrvik Kylfrakt",
    "message": "Call me after nine",
    "fields": {"fleet": "eleven lorries"},
    "consent": {"marketing": {"granted": True, "text": "Send me mail"}},
    "visitor_id": "visitor-of-zebulon",
}
TRACES = ["zebulon", "Zebulon", "701740642", "Kylfrakt", "after nine", "eleven lorries", "visitor-of-zebulon"]


async def erase(capture: Capturing, lead_id: UUID) -> httpx.Response:
    return await capture.client.delete(f"/v1/leads/{lead_id}", headers=OPERATOR)


async def everything(capture: Capturing) -> str:
    tables = await capture.fetch(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('capture', 'bus')"
    )
    rows = [str(dict(row)) for table in tables for row in await capture.fetch(f"SELECT * FROM {table['name']}")]
    return "\n".join(rows)


async def test_nothing_of_the_person_is_left_in_any_table(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    await capture.post(SITE, **PERSON, website="trap")
    assert [trace for trace in TRACES if trace not in await everything(capture)] == []
    answer = await erase(capture, lead_id)
    assert answer.status_code == 202
    left = await everything(capture)
    assert [trace for trace in TRACES if trace in left] == []


async def test_the_tombstone_is_on_the_card_topic_and_the_lead_is_gone(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    erasure_id = (await erase(capture, lead_id)).json()["erasure_id"]
    tombstone = next(event for event in await capture.said(lead_id) if isinstance(event.data, CardErased))
    assert (tombstone.seq, tombstone.data.erasure_id) == (2, erasure_id)
    row = (await capture.fetch("SELECT * FROM bus.card WHERE lead_id = $1", lead_id))[0]
    assert (row["version"], row["body"], row["erasure_id"]) == (2, None, erasure_id)
    for path in (f"/v1/leads/{lead_id}", f"/v1/leads/{lead_id}/export"):
        assert (await capture.client.get(path, headers=OPERATOR)).status_code == 404
    moved = await capture.client.post(
        f"/v1/leads/{lead_id}/stage", json={"to": "registered", "reason": "manual"}, headers=OPERATOR
    )
    assert moved.status_code == 404


async def test_asking_again_gives_the_same_erasure_and_strangers_cannot_be_erased(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    answers = await at_once(*(erase(capture, lead_id) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert (await erase(capture, uuid4())).status_code == 404


async def test_the_report_waits_for_every_service(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    answer = await erase(capture, lead_id)
    erasure_id = answer.json()["erasure_id"]
    assert answer.headers["location"] == f"/v1/erasures/{erasure_id}"

    async def report() -> dict[str, Any]:
        return (await capture.client.get(f"/v1/erasures/{erasure_id}", headers=OPERATOR)).json()

    others = [service for service in SERVICES if service != "capture"]
    assert (await report())["waiting"] == others
    for service in others:
        assert (await report())["done"] is False
        await capture.hear(lead_id, ErasureDone(erasure_id=erasure_id, service=service, removed={"card": 1}), 0)
    await capture.hear(lead_id, ErasureDone(erasure_id=erasure_id, service="nurture", removed={}), 0)
    done = await report()
    assert (done["done"], done["waiting"], done["lead_id"]) == (True, [], str(lead_id))
    assert {one["service"] for one in done["services"]} == set(SERVICES)
    removed = {one["service"]: one["removed"] for one in done["services"]}
    assert removed.pop("capture")["card"] == 1
    assert all(one == {"card": 1} for one in removed.values())
    assert (await capture.client.get(f"/v1/erasures/{uuid4()}", headers=OPERATOR)).status_code == 404


async def test_captures_own_part_of_the_report_counts_what_went(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    await erase(capture, lead_id)
    done = next(event.data for event in await capture.said(lead_id) if isinstance(event.data, ErasureDone))
    assert done.service == "capture"
    assert done.removed == {"identity": 2, "submission": 1, "note": 1, "consent_record": 1, "visitor": 1, "card": 1}


async def test_the_same_person_writing_again_is_a_new_lead(capture: Capturing) -> None:
    old = await capture.submit(**PERSON)
    await erase(capture, old)
    answer = (await capture.post(OPERATOR, **PERSON)).json()
    assert answer["created"] is True
    assert answer["lead_id"] != str(old)


async def test_events_of_an_erased_lead_change_nothing(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    await erase(capture, lead_id)
    before = len(await capture.said())
    await capture.hear(lead_id, Unsubscribed(), 1)
    assert len(await capture.said()) == before
    assert await capture.value("SELECT body FROM capture.lead WHERE lead_id = $1", lead_id) is None


async def test_erasing_while_the_person_writes_ends_well_for_both(capture: Capturing) -> None:
    for n in range(8):
        person = {"email": f"p{n}@norrvik.example", "phone": f"+4670174{n:04}", "visitor_id": f"v{n}"}
        lead_id = await capture.submit(**person)
        *posts, erased = await at_once(
            *(capture.post(OPERATOR, site="demo", **person) for _ in range(5)), erase(capture, lead_id)
        )
        assert erased.status_code == 202
        assert {answer.status_code for answer in posts} == {202}
    orphans = """SELECT count(*) FROM capture.identity i JOIN capture.standing s USING (lead_id) WHERE s.erased"""
    assert await capture.value(orphans) == 0


async def test_the_export_holds_what_capture_holds(capture: Capturing) -> None:
    lead_id = await capture.submit(**PERSON)
    answer = await capture.client.get(f"/v1/leads/{lead_id}/export", headers=OPERATOR)
    assert answer.status_code == 200
    tables = answer.json()["tables"]
    assert tables["lead"][0]["card"]["name"] == "Zebulon Quist"
    assert [row["key"] for row in tables["identity"]] == ["e:zebulon@norrvik.example", "p:+46701740642"]
    assert tables["submission"][0]["body"]["message"] == "Call me after nine"
    assert tables["note"][0]["text"] == "Call me after nine"
    assert tables["visitor"][0]["visitor_id"] == "visitor-of-zebulon"
    assert tables["consent_record"][0]["purpose"] == "marketing"


async def test_every_table_with_a_lead_in_it_is_exported_and_erased(capture: Capturing) -> None:
    from services.capture.queries import _EXPORTED
    from services.capture.repository import _ERASING

    rows = await capture.fetch(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'capture' AND column_name = 'lead_id'"
    )
    tables = {row["table_name"] for row in rows}
    # What is held, and what was decided of it, the plumbing erases in every service.
    without_personal_data = {"standing", "timer", "held", "tended", "erasure", "stage_heard"}
    assert tables - set(_EXPORTED) - {"held", "erasure", "quarantine"} == set()
    assert tables - set(_ERASING) - without_personal_data - {"lead"} == set()
