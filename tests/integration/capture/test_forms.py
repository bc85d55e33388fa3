"""A plain HTML form posts, and a browser gets a page or is sent on to one."""

from __future__ import annotations

import pytest
from httpx import Response

from services.capture.form import MOST_ENTRIES
from tests.support.capturing import OPERATOR, Capturing

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {
    "email": "Mara@Norrvik.example",
    "phone": "+46 70 174 06 42",
    "first_name": "Mara",
    "last_name": "Lindqvist",
    "fields.pallets_a_week": "40_to_400",
    "favourite colour": "blue",
    "activity.type": "demo_requested",
    "activity.asset": "rimeholt-demo",
    "source.medium": "cpc",
    "source.click_ids.gclid": "abc",
    "utm_campaign": "spring",
    "consent.contact": "on",
    "consent.contact.text": "You may call me.",
    "consent.marketing.text": "Send me mail.",
    "website": "",
}


async def send(capture: Capturing, headers: dict[str, str] | None = None, **form: str) -> Response:
    return await capture.client.post(
        "/v1/leads?site=pk_demo", data={**FORM, **form}, headers={**BROWSER, **(headers or {})}
    )


async def test_a_form_becomes_a_lead_with_all_its_answers(capture: Capturing) -> None:
    answer = await send(capture)
    assert answer.status_code == 303
    lead_id = await capture.value("SELECT lead_id FROM capture.lead")
    card = await capture.card(lead_id)
    assert (card["name"], card["email"], card["phone"]) == (
        "Mara Lindqvist",
        "mara@norrvik.example",
        "+46701740642",
    )
    assert card["answers"] == {
        "pallets_a_week": "40_to_400",
        "favourite colour": "blue",
        "first_name": "Mara",
        "last_name": "Lindqvist",
    }
    assert card["consent"].keys() == {"contact"}, "a box that was not ticked says nothing"
    assert card["consent"]["contact"]["text"] == "You may call me."
    assert (card["first_touch"]["channel"], card["first_touch"]["campaign"]) == ("paid_search", "spring")
    assert card["first_touch"]["click_ids"] == {"gclid": "abc"}
    assert (await capture.stages(lead_id))[-1] == ("registered", "contact_valid")


async def test_a_multipart_form_is_as_good(capture: Capturing) -> None:
    parts = {name: (None, value) for name, value in FORM.items()}
    answer = await capture.client.post("/v1/leads?site=pk_demo", files=parts, headers=BROWSER)
    assert answer.status_code == 303
    assert await capture.value("SELECT count(*) FROM capture.lead") == 1


async def test_a_key_in_the_form_or_in_the_header_does_as_well(capture: Capturing) -> None:
    in_body = await capture.client.post("/v1/leads", data={**FORM, "site": "pk_demo"}, headers=BROWSER)
    in_header = await capture.client.post("/v1/leads", data=FORM, headers={**BROWSER, "X-Site-Key": "pk_demo"})
    none = await capture.client.post("/v1/leads", data=FORM, headers=BROWSER)
    assert [answer.status_code for answer in (in_body, in_header, none)] == [303, 303, 401]


@pytest.mark.parametrize(
    ("redirect", "origin", "to"),
    [
        ("/demo/thanks", "", "http://capture.test/demo/thanks"),
        ("http://localhost:5173/ok?a=b#c", "", "http://localhost:5173/ok?a=b#c"),
        ("/ok", "http://localhost:5173", "http://localhost:5173/ok"),
        ("", "", "/thanks"),
        ("https://evil.example/", "", "/thanks"),
        ("//evil.example/", "", "/thanks"),
        ("/\\evil.example/", "", "/thanks"),
        ("\\\\evil.example", "", "/thanks"),
        ("http://localhost@evil.example/", "", "/thanks"),
        ("http://localhost:5173@evil.example/", "", "/thanks"),
        ("javascript:alert(1)", "", "/thanks"),
        ("java\tscript:alert(1)", "", "/thanks"),
        ("http://[broken", "", "/thanks"),
        ("http://capture.test.evil.example/", "", "/thanks"),
    ],
)
async def test_a_form_is_sent_on_to_pages_of_its_site_only(
    standing: Capturing, redirect: str, origin: str, to: str
) -> None:
    answer = await send(standing, {"Origin": origin} if origin else {}, redirect=redirect)
    assert (answer.status_code, answer.headers["location"]) == (303, to)


async def test_an_answer_that_cannot_be_read_brings_a_page_that_names_it_and_the_way_back(capture: Capturing) -> None:
    page = "http://localhost:5173/offer"
    answer = await send(capture, {"Referer": page}, email="mara.norrvik.example", phone="12")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no @ in it." in answer.text
    assert "<b>phone</b>" in answer.text
    assert f'href="{page}"' in answer.text
    elsewhere = await send(capture, {"Referer": "https://evil.example/"}, email="mara")
    assert "evil.example" not in elsewhere.text


async def test_the_demo_page_comes_back_with_what_was_typed(capture: Capturing) -> None:
    typed = {"page": "demo", "email": "mara@norrvik", "name": '"><script>alert(1)</script>', "company": "Norrvik"}
    answer = await send(capture, **typed)
    assert answer.status_code == 422
    assert 'value="mara@norrvik"' in answer.text
    assert "<script>alert" not in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'value="Norrvik"' in answer.text


async def test_a_submission_id_makes_a_form_that_is_sent_twice_one_submission(capture: Capturing) -> None:
    first = await send(capture, submission_id="01981d4e-0000-7000-8000-000000000001")
    second = await send(capture, submission_id="01981d4e-0000-7000-8000-000000000001")
    third = await send(capture, submission_id="01981d4e-0000-7000-8000-000000000001", email="b@norrvik.example")
    assert [answer.status_code for answer in (first, second, third)] == [303, 303, 422]
    assert "new one" in third.text
    assert await capture.value("SELECT count(*) FROM capture.submission") == 1


async def test_a_form_posted_by_a_script_that_wants_json_gets_json(capture: Capturing) -> None:
    good = await send(capture, {"Accept": "application/json"})
    bad = await send(capture, {"Accept": "application/json"}, email="mara")
    assert (good.status_code, good.json().keys()) == (202, {"submission_id"})
    assert (bad.status_code, bad.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"&".join(b"a%d=1" % n for n in range(MOST_ENTRIES + 1)), "application/x-www-form-urlencoded"),
        (b"email=%FF%FE%00&phone=%", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"no boundary here", "multipart/form-data"),
        (b"--x\r\nContent-Disposition: nonsense\r\n\r\n", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="email"; filename="a.exe"\r\n\r\nMZ\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"activity.duration_seconds=soon&email=m@norrvik.example", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused_with_a_page(
    standing: Capturing, body: bytes, content_type: str
) -> None:
    answer = await standing.client.post(
        "/v1/leads?site=pk_demo", content=body, headers={**BROWSER, "Content-Type": content_type}
    )
    assert answer.status_code == 422, answer.text
    assert "Please look at your answers again" in answer.text


async def test_the_pages_are_there(capture: Capturing) -> None:
    for path, words in (
        ("/demo?utm_medium=cpc&utm_source=google&gclid=abc", "Ask for a demo"),
        ("/", 'href="/demo"'),
        ("/demo/thanks", "Thank you"),
        ("/thanks", "Thank you"),
        ("/demo/form", "pk_demo"),
        ("/static/leadline.css", "{"),
        ("/static/capture/form.js", "export"),
    ):
        answer = await capture.client.get(path, headers=OPERATOR)
        assert answer.status_code == 200, path
        assert words in answer.text, path
    page = (await capture.client.get("/demo?utm_medium=cpc&utm_source=google&gclid=abc")).text
    assert 'name="source.channel" value="paid_search"' in page
    assert 'name="source.click_ids.gclid" value="abc"' in page


async def test_json_that_is_called_a_form_is_read_as_json(capture: Capturing) -> None:
    content_type = {"Content-Type": "application/x-www-form-urlencoded", "X-Site-Key": "pk_demo"}
    body = b' {"email": "mara@norrvik.example"}'
    answer = await capture.client.post("/v1/leads", content=body, headers=content_type)
    assert (answer.status_code, answer.json().keys()) == (202, {"submission_id"})
