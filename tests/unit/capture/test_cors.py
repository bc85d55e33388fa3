from __future__ import annotations

from collections.abc import Collection

import httpx
import pytest
from fastapi import APIRouter
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.capture.cors import SiteCors, origin_allowed
from shared.web import build_app

SHOP, BLOG = "https://shop.example.com", "https://blog.example.com"
ORIGINS = {"pk_shop": {SHOP}, "pk_blog": {BLOG}}


async def allowed_origins(key: str | None) -> Collection[str]:
    return ORIGINS.get(key, ()) if key else {SHOP, BLOG}


async def take(_request: object) -> JSONResponse:
    return JSONResponse({"submission_id": "1"}, 202)


async def fail(_request: object) -> JSONResponse:
    raise RuntimeError


@pytest.fixture
def browser() -> httpx.AsyncClient:
    app = build_app(
        "capture",
        [APIRouter()],
        operator_key="k",
        routes=[Route(path, take, methods=["POST"]) for path in ("/v1/leads", "/v1/inside")]
        + [Route("/v1/broken", fail, methods=["POST"])],
        middleware=[Middleware(SiteCors, allowed_origins=allowed_origins, paths=("/v1/leads", "/v1/broken"))],
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://capture.example.com")


async def preflight(browser: httpx.AsyncClient, origin: str, path: str = "/v1/leads") -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return await browser.options(path, headers=asked)


async def post(browser: httpx.AsyncClient, origin: str, key: str | None, path: str = "/v1/leads") -> httpx.Response:
    return await browser.post(path, headers={"Origin": origin} | ({"X-Site-Key": key} if key else {}))


@pytest.mark.parametrize("origin", [SHOP, BLOG])
async def test_a_preflight_without_a_key_is_granted_to_the_pages_of_any_site(
    browser: httpx.AsyncClient, origin: str
) -> None:
    answer = await preflight(browser, origin)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert "X-Site-Key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["vary"].startswith("Origin")


async def test_a_preflight_with_a_key_in_the_query_is_held_against_that_key(browser: httpx.AsyncClient) -> None:
    assert (await preflight(browser, SHOP, "/v1/leads?site=pk_shop")).status_code == 204
    assert (await preflight(browser, BLOG, "/v1/leads?site=pk_shop")).status_code == 403


@pytest.mark.parametrize("key", ["pk_shop", None])
async def test_a_page_of_the_site_may_read_the_answer(browser: httpx.AsyncClient, key: str | None) -> None:
    answer = await post(browser, SHOP, key)
    assert answer.status_code == 202
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "",
        BLOG,
        "http://shop.example.com",
        "https://shop.example.com:8443",
        "https://SHOP.example.com",
        "https://shop.example.com.evil.test",
        "https://evilshop.example.com",
        "https://evil.test/https://shop.example.com",
        "https://shop.example.com@evil.test",
        f"{SHOP}, https://evil.test",
    ],
)
async def test_no_other_origin_gets_through_with_the_key(browser: httpx.AsyncClient, origin: str) -> None:
    answer = await post(browser, origin, "pk_shop")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers
    if origin != BLOG:
        refused = await preflight(browser, origin)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers


async def test_two_origins_at_once_are_none(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/v1/leads", headers=[("Origin", SHOP), ("Origin", SHOP), ("X-Site-Key", "pk_shop")])
    assert answer.status_code == 403


async def test_an_unknown_key_opens_nothing(browser: httpx.AsyncClient) -> None:
    assert (await post(browser, SHOP, "pk_nobody")).status_code == 403


async def test_our_own_page_may_post(browser: httpx.AsyncClient) -> None:
    assert (await post(browser, "https://capture.example.com", "pk_shop")).status_code == 202
    assert (await post(browser, "https://capture.example.com.evil.test", "pk_shop")).status_code == 403


async def test_a_server_sends_no_origin_and_is_not_asked_for_one(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/v1/leads", headers={"X-Site-Key": "pk_shop"})
    assert answer.status_code == 202
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_credentials_and_stars_are_never_granted(browser: httpx.AsyncClient) -> None:
    for answer in (await preflight(browser, SHOP), await post(browser, SHOP, "pk_shop")):
        assert "access-control-allow-credentials" not in answer.headers
        assert "*" not in answer.headers["access-control-allow-origin"]


async def test_paths_that_are_not_for_pages_have_no_cors(browser: httpx.AsyncClient) -> None:
    answer = await preflight(browser, SHOP, "/v1/inside")
    assert answer.status_code == 405
    answer = await post(browser, SHOP, "pk_shop", "/v1/inside")
    assert answer.status_code == 202
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_may_also_read_that_something_failed(browser: httpx.AsyncClient) -> None:
    answer = await post(browser, SHOP, "pk_shop", "/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == SHOP


def test_null_is_refused_even_where_a_list_holds_it() -> None:
    assert not origin_allowed("null", {"null"})
    assert origin_allowed(SHOP, {SHOP})
    assert not origin_allowed("", {SHOP})
