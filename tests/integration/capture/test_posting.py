"""A post becomes a lead, its card, its activity and its stages, in one commit."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from services.capture.metrics import SUBMISSIONS
from shared.events.topics import Topic
from tests.support.capturing import OPERATOR, SITE, Capturing
from tests.support.set_clock import SetClock


async def test_a_demo_request_is_captured_and_registered_with_the_wish_in_the_event(capture: Capturing) -> None:
    lead_id = await capture.submit(email="Mara@Norrvik.example", activity={"type": "demo_requested"})
    assert await capture.stages(lead_id) == [("captured", "first_interest"), ("registered", "contact_valid")]
    registered = (await capture.said(lead_id, Topic.STAGE))[1]
    assert registered.data.asked_for == "demo_requested"
    said = await capture.said(lead_id)
    assert [event.topic for event in said] == [Topic.CARD, Topic.STAGE, Topic.ACTIVITY, Topic.STAGE]
    assert [event.seq for event in said] == [1, 1, 1, 2]
    assert {event.attributes.cardversion for event in said} == {1}
    assert {event.attributes.site for event in said} == {"demo"}


async def test_a_returning_person_is_known_by_the_address_however_it_is_written(capture: Capturing) -> None:
    first = await capture.submit(email="Mara@Norrvik.example", company="Norrvik", fields={"pallets": 40, "cold": True})
    second = await capture.submit(email=" mara@norrvik.EXAMPLE ", phone="+46 70 174 06 42", fields={"pallets": 90})
    assert second == first
    card = await capture.card(first)
    assert card["version"] == 2
    assert (card["email"], card["phone"], card["company"]) == ("mara@norrvik.example", "+46701740642", "Norrvik")
    assert card["answers"] == {"pallets": "90", "cold": "true"}
    assert await capture.activities(first) == ["form_submitted", "form_submitted"]


async def test_a_site_key_learns_nothing_of_who_is_known(capture: Capturing) -> None:
    answers = [
        await capture.post(email="new@norrvik.example"),
        await capture.post(email="new@norrvik.example"),
        await capture.post(email="bot@norrvik.example", website="http://spam.example"),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert all(answer.json().keys() == {"submission_id"} for answer in answers)
    assert all(UUID(answer.json()["submission_id"]).version == 7 for answer in answers)


async def test_the_operator_learns_the_lead_and_whether_it_is_new(capture: Capturing) -> None:
    first = (await capture.post(OPERATOR, email="a@norrvik.example")).json()
    second = (await capture.post(OPERATOR, email="a@norrvik.example")).json()
    assert (first["created"], second["created"]) == (True, False)
    assert first["lead_id"] == second["lead_id"]
    assert first["submission_id"] != second["submission_id"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"name": "Mara"}, "/email", "is needed"),
        ({"email": "mara"}, "/email", "no @"),
        ({"phone": "+49 123"}, "/phone", "area code"),
        ({"email": "m@norrvik.example", "emial": "x"}, "/emial", "did you mean email"),
        ({"email": 4}, "/email", "must be text, not a whole number"),
        ({"email": "m@norrvik.example", "activity": {"type": "demo_request"}}, "/activity/type", "demo_requested"),
        ({"email": "m@norrvik.example", "activity": {"type": "flagged"}}, "/activity/type", "operator"),
        ({"email": "m@norrvik.example", "activity": {"type": "purchase"}}, "/activity/value", "value"),
        (
            {"email": "m@norrvik.example", "activity": {"type": "purchase", "value": "NaN"}},
            "/activity/value",
            "amount",
        ),
        ({"email": "m@norrvik.example", "activity": {"value": 1, "currency": "euro"}}, "/activity/currency", "ISO"),
        ({"email": "m@norrvik.example", "activity": {"at": "2026-03-01"}}, "/activity/at", "like 2026-03-01T09:30:00Z"),
        ({"email": "m@norrvik.example", "activity": {"at": "2020-01-01T00:00:00Z"}}, "/activity/at", "7 days"),
        ({"email": "m@norrvik.example", "activity": {"at": "2026-01-01T00:00:00"}}, "/activity/at", "timezone"),
        ({"email": "m@norrvik.example", "fields": {"a": {"b": 1}}}, "/fields/a", "must be text"),
        ({"email": "m@norrvik.example", "fields": {"a/b": [[1]]}}, "/fields/a~1b", "must be text"),
        ({"email": "m@norrvik.example", "consent": {"mail": {"granted": "yes"}}}, "/consent/mail/granted", "true"),
        ({"email": "m@norrvik.example", "consent": {"mail": 1}}, "/consent/mail", "an object"),
        ({"email": "m@norrvik.example", "name": "x" * 201}, "/name", "more than 200"),
        ({"email": "m@norrvik.example", "message": "x" * 10_001}, "/message", "more than 10000"),
        ({"email": "m@norrvik.example", "history": True}, "/history", "operator"),
    ],
)
async def test_a_post_that_cannot_be_read_names_the_member_and_why(
    standing: Capturing, body: dict[str, object], pointer: str, words: str
) -> None:
    answer = await standing.post(**body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = {problem["pointer"]: problem["detail"] for problem in answer.json()["errors"]}
    assert words in found[pointer]
    assert await standing.value("SELECT count(*) FROM capture.submission") == 0


async def test_all_that_is_wrong_is_said_at_once(capture: Capturing) -> None:
    answer = await capture.post(email="mara", phone="1", activity={"type": "nonsense"}, name="x" * 300)
    pointers = [problem["pointer"] for problem in answer.json()["errors"]]
    assert pointers == ["/email", "/phone", "/activity/type", "/name"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b'{"fields":' + b'{"a":' * 9000, b"[" * 60_000])
async def test_bytes_that_are_no_object_are_refused_without_harm(standing: Capturing, raw: bytes) -> None:
    answer = await standing.client.post("/v1/leads", content=raw, headers=SITE)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:leadline:problem:malformed"


async def test_without_a_key_with_an_unknown_one_and_with_a_wrong_operators_key_nobody_is_let_in(
    capture: Capturing,
) -> None:
    body = {"email": "m@norrvik.example"}
    assert (await capture.post({}, **body)).status_code == 401
    assert (await capture.post({"X-Site-Key": "pk_nobody"}, **body)).status_code == 403
    assert (await capture.post({"Authorization": "Bearer wrong", **SITE}, **body)).status_code == 401
    assert (await capture.post(OPERATOR, site="nowhere", **body)).status_code == 422
    assert await capture.value("SELECT count(*) FROM capture.lead") == 0


async def test_a_future_time_becomes_now_and_a_site_may_go_back_a_week(capture: Capturing, clock: SetClock) -> None:
    ahead, back = clock.now() + timedelta(days=3), clock.now() - timedelta(days=6)
    first = await capture.submit(email="a@norrvik.example", activity={"at": ahead.isoformat()})
    answer = await capture.post(email="b@norrvik.example", activity={"at": back.isoformat()})
    assert answer.status_code == 202
    assert (await capture.said(first, Topic.ACTIVITY))[0].time == clock.now()
    late = next(event for event in await capture.said(topic=Topic.ACTIVITY) if event.lead_id != first)
    assert (late.time, late.attributes.recordedtime) == (back, clock.now())


async def test_an_operator_may_bring_in_the_past_as_history(capture: Capturing) -> None:
    lead_id = await capture.submit(
        email="a@norrvik.example", history=True, activity={"type": "page_viewed", "at": "2019-05-01T10:00:00+02:00"}
    )
    said = await capture.said(lead_id)
    assert all(event.history for event in said)
    assert {event.time.isoformat() for event in said} == {"2019-05-01T08:00:00+00:00"}
    assert await capture.value("SELECT count(*) FROM capture.timer") == 0


async def test_a_throw_away_mailbox_is_captured_but_not_registered(capture: Capturing, clock: SetClock) -> None:
    lead_id = await capture.submit(email="x@sub.mailinator.com", activity={"type": "demo_requested"})
    assert await capture.stages(lead_id) == [("captured", "first_interest")]
    assert (await capture.said(lead_id, Topic.ACTIVITY))[0].data.contact_valid is False
    clock.advance(timedelta(days=29))
    assert await capture.fire_timers() == 0
    clock.advance(timedelta(days=1, minutes=1))
    assert await capture.fire_timers() == 1
    assert (await capture.stages(lead_id))[-1] == ("disqualified", "unconfirmed")


async def test_a_telephone_number_that_comes_later_makes_it_real(capture: Capturing) -> None:
    lead_id = await capture.submit(email="x@mailinator.com")
    await capture.submit(email="x@mailinator.com", phone="+46701740642", activity={"type": "contact_requested"})
    assert (await capture.stages(lead_id))[-1] == ("registered", "contact_valid")
    assert (await capture.said(lead_id, Topic.STAGE))[-1].data.asked_for == "contact_requested"
    assert await capture.value("SELECT count(*) FROM capture.timer") == 0


async def test_a_purchase_by_somebody_unproven_registers_at_once_with_the_money(capture: Capturing) -> None:
    lead_id = await capture.submit(email="x@mailinator.com")
    await capture.submit(email="x@mailinator.com", activity={"type": "purchase", "value": 1250.5})
    registered = (await capture.said(lead_id, Topic.STAGE))[-1].data
    assert (registered.to, registered.reason) == ("registered", "purchase")
    assert (registered.value, registered.currency) == ("1250.5", "EUR")
    bought = (await capture.said(lead_id, Topic.ACTIVITY))[-1].data
    assert (bought.activity, bought.value, bought.currency) == ("purchase", "1250.5", "EUR")


async def test_a_flag_disqualifies_while_the_lead_is_captures_own(capture: Capturing) -> None:
    lead_id = await capture.submit(email="x@mailinator.com")
    await capture.submit(email="x@mailinator.com", activity={"type": "flagged", "reason": "not_icp"})
    assert (await capture.stages(lead_id))[-1] == ("disqualified", "not_icp")


async def test_a_test_key_makes_test_leads_that_are_nobody_real(capture: Capturing) -> None:
    real = await capture.submit(email="m@norrvik.example")
    await capture.post({"X-Site-Key": "pk_test_demo"}, email="m@norrvik.example")
    said = await capture.said()
    assert {event.attributes.test for event in said if event.lead_id == real} == {False}
    assert {event.attributes.test for event in said if event.lead_id != real} == {True}
    assert len({event.lead_id for event in said}) == 2


async def test_the_figures_of_submissions_count_tests_apart(capture: Capturing) -> None:
    def counted() -> dict[str, float]:
        samples = [one for figure in SUBMISSIONS.collect() for one in figure.samples if one.name.endswith("_total")]
        return {
            outcome: sum(one.value for one in samples if one.labels["outcome"] == outcome)
            for outcome in ("new", "known", "quarantined", "test")
        }

    before = counted()
    await capture.post({"X-Site-Key": "pk_test_demo"}, email="m@norrvik.example")
    await capture.post({"X-Site-Key": "pk_test_demo"}, email="m@norrvik.example")
    await capture.post(SITE, email="m@norrvik.example")
    assert {outcome: count - before[outcome] for outcome, count in counted().items()} == {
        "new": 1, "known": 0, "quarantined": 0, "test": 2,
    }  # fmt: skip


async def test_no_personal_data_is_in_the_log(capture: Capturing) -> None:
    secrets = ["Zebulon", "zebulon.q@norrvik.example", "+46701740642", "Norrvik Kylfrakt", "please call after nine"]
    name, email, phone, company, message = secrets
    await capture.post(
        name=name,
        email=email,
        phone=phone,
        company=company,
        message=message,
        fields={"note": message},
        activity={
            "type": "contact_requested",
            "asset": email,
            "url": f"https://a.example/u/{email}?m={email}&utm_term=x",
        },
        source={"campaign": f"to {email}", "medium": "email", "referrer": f"https://mail.example/?u={email}"},
        consent={"marketing": {"granted": True, "text": message}},
        visitor_id="v-1",
    )
    log = " ".join(str(dict(row)) for row in await capture.fetch("SELECT * FROM bus.capture_log"))
    assert [secret for secret in secrets if secret in log] == []
    activity = (await capture.said(topic=Topic.ACTIVITY))[0].data
    assert activity.text_length == len(message)
    assert activity.path == "/u/-?utm_term=x"
    assert activity.channel == "email"


async def test_a_trace_is_carried_from_the_request_into_its_events(capture: Capturing) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {**SITE, "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await capture.post(headers, email="m@norrvik.example")
    assert {event.attributes.traceparent.split("-")[1] for event in await capture.said()} == {trace}


async def test_the_relay_reads_the_card_as_it_is(capture: Capturing) -> None:
    lead_id = await capture.submit(email="m@norrvik.example", name="Mara\u0000 \u202eLindqvist\u0007")
    row = (await capture.fetch("SELECT * FROM bus.card WHERE lead_id = $1", lead_id))[0]
    assert row["version"] == 1
    assert '"name":"Mara Lindqvist"' in row["body"]


async def test_the_openapi_document_describes_the_plain_routes(capture: Capturing) -> None:
    document = (await capture.client.get("/openapi.json")).json()
    lead = document["paths"]["/v1/leads"]["post"]
    assert "202" in lead["responses"]
    assert "email" in lead["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "multipart/form-data" in lead["requestBody"]["content"]
    assert "/v1/activities" in document["paths"]
