"""Which pages may post with which key, and how an operator says so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.capturing import OPERATOR, SITE, Capturing, capturing

SHOP = "https://shop.example"


async def put_site(capture: Capturing, **body: Any) -> httpx.Response:
    return await capture.client.put("/v1/sites", json=body, headers=OPERATOR)


@pytest.fixture
async def shop(capture: Capturing) -> dict[str, str]:
    answer = await put_site(capture, key="pk_shop_1", name="shop", origins=[SHOP], policy="none", product="crates")
    assert answer.status_code == 200, answer.text
    return {"X-Site-Key": "pk_shop_1"}


async def test_a_site_that_was_just_made_can_post_and_its_name_policy_and_product_go_with_the_lead(
    capture: Capturing, shop: dict[str, str]
) -> None:
    assert (await capture.post(shop, email="x@mailinator.com", activity={"type": "demo_requested"})).status_code == 202
    said = await capture.said()
    assert {(event.attributes.site, event.attributes.product) for event in said} == {("shop", "crates")}
    moved = [event.data for event in said if event.type.startswith("io.leadline.stage")]
    assert [(one.to, one.reason) for one in moved] == [
        ("captured", "first_interest"),
        ("registered", "no_registration_needed"),
    ]
    assert moved[1].asked_for == "", "nobody can be reached there, so sales is not called"


async def test_keys_are_made_listed_changed_and_taken_back(capture: Capturing) -> None:
    made = (await put_site(capture, name="shop", origins=[SHOP])).json()
    assert made["key"].startswith("pk_")
    assert len(made["key"]) > 40
    changed = (await put_site(capture, key=made["key"], name="shop", policy="none")).json()
    assert (changed["policy"], changed["origins"]) == ("none", [])
    listed = (await capture.client.get("/v1/sites", headers=OPERATOR)).json()["items"]
    assert [site["key"] for site in listed] == ["pk_demo", "pk_test_demo", made["key"]]
    assert (await capture.client.delete(f"/v1/sites/{made['key']}", headers=OPERATOR)).status_code == 204
    assert (await capture.post({"X-Site-Key": made["key"]}, email="a@norrvik.example")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Shop With Blanks"},
        {"name": "shop", "origins": ["https://shop.example/"]},
        {"name": "shop", "origins": ["*"]},
        {"name": "shop", "policy": "anything"},
        {"name": "shop", "key": "secret"},
        {"name": "shop", "region": "UK"},
        {"name": "shop", "colour": "red"},
    ],
)
async def test_a_site_that_makes_no_sense_is_refused(standing: Capturing, body: dict[str, Any]) -> None:
    refused = await put_site(standing, **body)
    assert (refused.status_code, "pattern" in refused.text) == (422, False), refused.text


async def test_a_site_key_opens_nothing_an_operator_may_do(capture: Capturing) -> None:
    lead_id = await capture.submit(email="m@norrvik.example")
    for method, path in (
        ("GET", f"/v1/leads/{lead_id}"),
        ("DELETE", f"/v1/leads/{lead_id}"),
        ("GET", f"/v1/leads/{lead_id}/export"),
        ("POST", f"/v1/leads/{lead_id}/stage"),
        ("GET", "/v1/sites"),
        ("PUT", "/v1/sites"),
        ("GET", "/v1/reviews"),
        ("GET", "/v1/quarantine"),
        ("POST", f"/v1/quarantine/{lead_id}/release"),
        ("GET", f"/v1/erasures/{lead_id}"),
    ):
        for headers in (SITE, {}, {"Authorization": "Bearer pk_demo"}):
            answer = await capture.client.request(method, path, json={}, headers=headers)
            assert answer.status_code == 401, (method, path)


async def test_pages_of_a_listed_origin_may_read_the_answer_and_others_are_refused(
    capture: Capturing, shop: dict[str, str]
) -> None:
    taken = await capture.post({**shop, "Origin": SHOP}, email="a@norrvik.example")
    assert (taken.status_code, taken.headers["access-control-allow-origin"]) == (202, SHOP)
    assert "origin" in taken.headers["vary"].lower()
    for origin in ("https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"):
        refused = await capture.post({**shop, "Origin": origin}, email="b@norrvik.example")
        assert refused.status_code == 403, origin
        assert "access-control-allow-origin" not in refused.headers
    assert await capture.value("SELECT count(*) FROM capture.lead") == 1


async def test_a_key_in_the_body_is_held_against_the_origin_too(capture: Capturing, shop: dict[str, str]) -> None:
    body = {"email": "a@norrvik.example", "site": "pk_shop_1"}
    assert (await capture.post({"Origin": SHOP}, **body)).status_code == 202
    assert (await capture.post({"Origin": "https://evil.example"}, **body)).status_code == 403
    assert (await capture.post({}, **body)).status_code == 202, "a server sends no origin"


async def test_preflights_are_answered_for_listed_origins_only(capture: Capturing, shop: dict[str, str]) -> None:
    async def preflight(origin: str, path: str = "/v1/leads") -> httpx.Response:
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return await capture.client.options(path, headers=asks)

    allowed = await preflight(SHOP)
    assert allowed.status_code == 204
    assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
    assert (await preflight(SHOP, "/v1/activities")).status_code == 204
    assert (await preflight("https://evil.example")).status_code == 403
    assert "access-control-allow-origin" not in (await preflight(SHOP, "/v1/sites")).headers


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://localhost", "https://127.0.0.1:8443"])
async def test_the_demo_key_is_for_any_port_of_this_machine(standing: Capturing, origin: str) -> None:
    assert (await standing.post({**SITE, "Origin": origin}, email="a@norrvik.example")).status_code == 202


@pytest.mark.parametrize("origin", ["http://localhost.evil.example:80", "http://localhost:80a", "https://demo.example"])
async def test_the_demo_key_is_for_no_other_machine(standing: Capturing, origin: str) -> None:
    assert (await standing.post({**SITE, "Origin": origin}, email="a@norrvik.example")).status_code == 403


async def test_the_keys_of_the_demo_open_nothing_where_it_is_not_wanted_though_the_database_still_knows_them(
    capture: Capturing,
) -> None:
    assert (await capture.post(SITE, email="m@norrvik.example")).status_code == 202
    async with capturing(capture.runtime.settings.database_url, demo_site=False) as moved:
        for key in ("pk_demo", "pk_test_demo"):
            assert (await moved.post({"X-Site-Key": key}, email="m@norrvik.example")).status_code == 403
            refused = await put_site(moved, key=key, name="shop")
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["pointer"] == "/key"
        assert (await put_site(moved, key="pk_own_1", name="shop")).status_code == 200
        assert (await moved.post({"X-Site-Key": "pk_own_1"}, email="m@norrvik.example")).status_code == 202
