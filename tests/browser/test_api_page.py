from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter, Depends

from shared.keys import Scope
from shared.security import Bearer
from shared.server import server
from shared.web import build_app
from tests.support.browsing import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.browser
router = APIRouter()


@router.get("/v1/rules", dependencies=[Depends(Bearer(Scope.read))])
async def rules() -> dict[str, str]:
    """The rules that are live."""
    return {"rules": "these"}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    web = server(build_app("scoring", [router], operator_key="the-key"), "127.0.0.1", 0)
    serving = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    web.should_exit = True
    await serving


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    yield page
    await page.close()


async def test_an_operator_tries_a_call_from_the_page_and_nothing_comes_from_elsewhere(url: str, page: Page) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    await page.goto(f"{url}/docs")
    await page.get_by_role("button", name="Authorize").first.click()
    await page.get_by_label("Value").fill("the-key")
    await page.locator(".auth-btn-wrapper button.authorize").click()
    await page.locator("button.btn-done").click()
    await page.locator(".opblock-summary-control").first.click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute").click()

    await expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(page.locator(".live-responses-table")).to_contain_text("these")
    assert complaints == []
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
