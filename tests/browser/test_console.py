"""The console in a real browser: what happens is on the page within a second, without loading it again."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from shared import log
from shared.migrations import migrate
from shared.service import Runtime
from tests.support.browsing import expect
from tests.support.lives import KEY, Life, hear, insights, served
from tests.support.servers import Databases

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

WIDEST_NAME = "Math.max(0, ...[...document.querySelectorAll('th .who')].map((one) => one.offsetWidth))"
SIDEWAYS = "[...document.querySelectorAll('.rows')].map((one) => one.scrollWidth).filter((wide) => wide > innerWidth)"
SIGHTS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1440, "light"), (1440, "dark"), (390, "light"), (320, "dark"),
)  # fmt: skip


@dataclass
class Desk:
    """An open console with some leads, and a reader's page; `complaints` is what the browser found wrong."""

    runtime: Runtime[Any]
    url: str
    page: Page
    lives: list[Life] = field(default_factory=list[Life])
    complaints: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="module")
async def served_console(fresh_database: Databases) -> AsyncGenerator[tuple[Runtime[Any], str, list[Life]]]:
    dsn = fresh_database()
    await migrate("insights", dsn)
    runtime = insights(dsn, console="open")
    now = datetime.now(UTC)
    async with runtime.database.transaction() as connection:
        await log.ensure_days(connection, "insights", now.date())
    lives = [Life(now - timedelta(minutes=number), name=f"Lead {number}") for number in range(8)]
    endless = f"{'w' * 64}@{'.'.join(['w' * 60] * 3)}.example"
    lives.append(Life(now - timedelta(minutes=9), name="W" * 110, email=endless))
    told = [event for life in lives for event in life.born()]
    told += lives[3].way(("registered", "contact_valid"), ("mql", "score_reached"), ("iql", "score_fell"))
    await hear(runtime, told)
    async with served(runtime) as url:
        yield runtime, url, lives
    await runtime.database.close()


@pytest.fixture(scope="module")
async def visitor(browser: Browser) -> AsyncGenerator[BrowserContext]:
    """Somebody who looks at page after page: each new visitor costs the browser a second."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    yield context
    await context.close()


@pytest.fixture
async def desk(visitor: BrowserContext, served_console: tuple[Runtime[Any], str, list[Life]]) -> AsyncGenerator[Desk]:
    runtime, url, lives = served_console
    runtime.progress.all_heard(datetime.now(UTC))
    desk = Desk(runtime, url, await visitor.new_page(), lives)
    watch(desk)
    yield desk
    await desk.page.close()
    assert desk.complaints == []


def watch(desk: Desk) -> None:
    def on_message(message: Any) -> None:
        # A policy that was broken is told as an error too.
        if message.type in ("error", "warning"):
            desk.complaints.append(message.text)

    def on_failure(request: Any) -> None:
        # A page that is left lets go of what it was listening to.
        if "ERR_ABORTED" not in request.failure:
            desk.complaints.append(f"{request.url} {request.failure}")

    desk.page.on("console", on_message)
    desk.page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    desk.page.on("requestfailed", on_failure)
    desk.page.on("response", lambda a: desk.complaints.append(f"{a.url} {a.status}") if a.status >= 400 else None)


async def test_a_stage_change_is_on_the_first_page_within_a_second_without_loading_it_again(desk: Desk) -> None:
    page = desk.page
    await page.goto(desk.url)
    await expect(page.locator("#live .words")).to_have_text("live")
    await page.evaluate("window.sameDocument = true")
    captured = int(await page.locator("#leads-captured").inner_text())

    newcomer = Life(datetime.now(UTC), name="Teo Abara", source="webinar")
    await hear(desk.runtime, newcomer.born())
    heard = time.monotonic()
    first = page.locator("#changes > li").first
    await expect(first.locator(".who")).to_have_text("Teo Abara", timeout=1_000)
    assert time.monotonic() - heard < 1
    await expect(first.locator(".why")).to_have_text("Showed interest for the first time")
    await expect(first.locator(".who")).to_have_attribute("href", f"/leads/{newcomer.lead_id}")

    await expect(page.locator("#leads-captured")).to_have_text(str(captured + 1), timeout=5_000)
    await expect(page.locator("#sources")).to_contain_text("webinar")
    assert await page.evaluate("window.sameDocument")


async def test_a_change_between_drawing_and_listening_is_not_missed(desk: Desk) -> None:
    newcomer = Life(datetime.now(UTC), name="Ines Between")

    async def late(route: Any) -> None:
        await hear(desk.runtime, newcomer.born())
        await route.continue_()

    await desk.page.route("**/v1/stream", late)
    await desk.page.goto(desk.url)
    await expect(desk.page.locator("#changes .who").first).to_have_text("Ines Between", timeout=3_000)
    names = await desk.page.locator("#changes .who").all_inner_texts()
    assert names.count("Ines Between") == 1


async def test_the_list_can_be_paused_and_goes_on_where_it_was(desk: Desk) -> None:
    page = desk.page
    await page.goto(desk.url)
    await expect(page.locator("#live .words")).to_have_text("live")
    await page.get_by_role("button", name="Pause").click()
    before = await page.locator("#changes .who").first.inner_text()
    await hear(desk.runtime, Life(datetime.now(UTC), name="Nils Paused").born())
    await expect(page.get_by_role("button", name="Go on, 1 new")).to_be_visible(timeout=2_000)
    assert await page.locator("#changes .who").first.inner_text() == before
    await page.get_by_role("button", name="Go on, 1 new").click()
    await page.mouse.move(5, 5)
    await expect(page.locator("#changes .who").first).to_have_text("Nils Paused")


async def test_the_keyboard_finds_a_lead_and_goes_through_the_list(desk: Desk) -> None:
    page = desk.page
    await page.goto(desk.url)
    await page.keyboard.press("/")
    await expect(page.locator("#find")).to_be_focused()
    await page.keyboard.type("lead 5")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/leads\?q=lead\+5$"))
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{desk.url}/leads/{desk.lives[5].lead_id}")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Lead 5")
    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", level=1)).not_to_contain_text("Lead 5")


async def test_a_number_leads_to_its_leads(desk: Desk) -> None:
    page = desk.page
    await page.goto(desk.url)
    await page.locator("#leads-iql").click()
    await page.wait_for_url(f"{desk.url}/leads?stage=iql")
    await expect(page.locator("tbody .who b")).to_have_text(["Lead 3"])


async def test_every_page_fits_its_window(desk: Desk) -> None:
    """No script lays a page out: one that is made narrower is as one that was opened so."""
    of_leads = [f"/leads/{desk.lives[number].lead_id}" for number in (3, -1)]
    for path in ("/", "/leads", *of_leads, "/leads?q=nobody"):
        await desk.page.goto(desk.url + path)
        await expect(desk.page.get_by_role("main")).to_be_visible()
        for width, scheme in SIGHTS:
            await desk.page.set_viewport_size({"width": width, "height": 844})
            await desk.page.emulate_media(color_scheme=scheme)
            wide = await desk.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} wide in {width}, {scheme}"
            assert width > 600 or await desk.page.evaluate(SIDEWAYS) == [], f"a list on {path} scrolls sideways"
            names = await desk.page.evaluate(WIDEST_NAME)
            assert names <= 340, f"a name on {path} takes {names} pixels from the other columns"


async def test_a_closed_console_is_opened_by_signing_in(browser: Browser, served_console: Any) -> None:
    runtime, _, _ = served_console
    closed = insights(runtime.settings.database_url, console="key")
    closed.progress.all_heard(datetime.now(UTC))
    async with served(closed) as url:
        page = await browser.new_page()
        answer = await page.goto(f"{url}/leads?q=lead+5")
        assert answer is not None
        assert answer.status == 401
        for password in ("guessed", KEY):
            await page.get_by_label("Name").fill("operator")
            await page.get_by_label("Password").fill(password)
            await page.keyboard.press("Enter")
            if password == "guessed":
                await expect(page.get_by_role("alert")).to_contain_text("do not go together")
        await page.wait_for_url(f"{url}/leads?q=lead+5")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.goto(url)
        await expect(page.locator("#live .words")).to_have_text("live")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url(f"{url}/sign-in")
        answer = await page.goto(url)
        assert answer is not None
        assert answer.status == 401
        await page.close()
    await closed.database.close()
