"""The console as people of each role use it: signed in, by keyboard, wide and on a phone, light and dark.

No page may be wider than its window, break the policy for its scripts, or have a serious fault by axe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

import asyncpg
import axe_playwright_python
import pytest

from deploy.accounts import add, remove
from deploy.held import tended
from shared.keys import Role
from tests.support.browsing import expect
from tests.support.installation import KEY, Installation

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).with_name("axe.min.js")).read_text(encoding="utf-8")
# Told no more than the faults: for each element that is right it would write down where it is.
FAULTS = "axe.run({resultTypes: ['violations'], preload: false})"
PASSWORD = "a quiet lake in May"
MOST_TABS = 80
WIDE, PHONE = 1440, 390


@dataclass
class Visit:
    """Somebody at the console; `complaints` is what the browser and axe found wrong."""

    url: str
    page: Page
    width: int
    complaints: list[str] = field(default_factory=list[str])

    async def sign_in(self, name: str, password: str) -> None:
        await self.page.goto(f"{self.url}/sign-in")
        await self.look()
        await self.page.keyboard.type(name)
        await self.page.keyboard.press("Tab")
        await self.page.keyboard.type(password)
        await self.page.keyboard.press("Enter")
        await expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()
        await self.page.wait_for_load_state()  # its scripts, which hear the keys

    async def reach(self, words: str) -> None:
        """Press Tab until something of that name has the focus, and Enter."""
        for _ in range(MOST_TABS):
            await self.page.keyboard.press("Tab")
            said = await self.page.evaluate("document.activeElement.innerText ?? ''")
            if words in said:
                await self.page.keyboard.press("Enter")
                return
        raise AssertionError(f"{words!r} is not reached by the keyboard on {self.page.url}")

    async def go(self, place: str) -> None:
        """By the side bar."""
        await self.reach(place)
        await self.page.wait_for_load_state()
        await expect(self.page.locator(".side a[aria-current]")).to_have_text(place)
        await self.look()

    async def look(self) -> None:
        """Whether the page fits its window, and whether axe finds something serious."""
        await expect(self.page.get_by_role("main")).to_be_visible()
        wide = await self.page.evaluate("document.documentElement.scrollWidth")
        if wide > self.width:
            self.complaints.append(f"{self.page.url} is {wide} wide in {self.width}")
        await self.page.evaluate(AXE)
        found: list[dict[str, Any]] = (await self.page.evaluate(FAULTS))["violations"]
        self.complaints += [
            f"{self.page.url} {one['id']} at {[node['target'] for node in one['nodes']]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@asynccontextmanager
async def visit(
    browser: Browser, inst: Installation, width: int, scheme: Literal["light", "dark"]
) -> AsyncIterator[Visit]:
    """Nothing may have been wrong when it ends."""
    context = await browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    made = Visit(inst.url("insights"), await context.new_page(), width)

    def on_message(message: Any) -> None:
        # A policy that was broken is told as an error too. That a page is refused is seen by the test itself.
        if message.type in ("error", "warning") and "status of 40" not in message.text:
            made.complaints.append(message.text)

    made.page.on("console", on_message)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    try:
        yield made
        assert made.complaints == []
    finally:
        await context.close()


@pytest.fixture
def people(inst: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Accounts of a lead manager and a marketer, whose passwords are hashed in no time."""
    monkeypatch.setattr("services.insights.accounts.COST", 2)
    file = inst.data_dir / "accounts.json"
    for name, role in (("hanne", Role.lead_manager), ("marek", Role.marketer)):
        add(file, name, PASSWORD, role, None, datetime.now(UTC))
    yield file
    file.unlink()


@pytest.fixture
async def asked(inst: Installation, person: str) -> dict[str, Any]:
    """Somebody who asked for a demo and is on offer to a rep, as the worklist tells it."""
    given = {"name": "Mara Lindqvist", "phone": "+46 70 174 06 42", "activity": {"type": "demo_requested"}}
    lead = await asyncio.to_thread(lambda: inst.submit(email=person, **given))
    await asyncio.to_thread(inst.until_stage, lead, "handed_over")
    (item,) = [item for item in await worklist(inst) if item["lead_id"] == lead]
    return item


async def hold_an_event(dsn: str, lead_id: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        """INSERT INTO scoring.held (lead_id, topic, seq, event_id, type, attributes, body, reason, detail, held_at)
           VALUES ($1, 'leads.activity', 99, $2, 'x', '{}', '{}', 'failed', 'ValueError in _count line 119', now())""",
        UUID(lead_id),
        uuid4(),
    )
    await connection.close()


def put_aside(inst: Installation, email: str) -> None:
    with inst.public("capture") as form:
        form.headers["X-Site-Key"] = "pk_demo"
        form.post("/v1/leads", json={"email": email, "name": "Tove Dahl", "website": "x"}).raise_for_status()


async def worklist(inst: Installation) -> list[dict[str, Any]]:
    return (await asyncio.to_thread(inst.get, "handover", "/v1/worklist", limit=200))["items"]


async def let_go(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM scoring.held WHERE detail = 'ValueError in _count line 119'")
    await connection.close()


async def test_an_operator_looks_after_events_sites_and_keys(
    inst: Installation, people: Path, asked: dict[str, Any], browser: Browser
) -> None:
    lead = asked["lead_id"]
    await hold_an_event(inst.dsn, lead)
    async with visit(browser, inst, WIDE, "light") as operator:
        page = operator.page
        await operator.sign_in("operator", KEY)
        await operator.look()
        for place in ("Leads", "Worklist", "Mails"):
            await operator.go(place)
        await operator.reach("Mara")
        await expect(page.locator(".text")).to_contain_text("Mara")
        await operator.look()
        await operator.go("Held events")
        await expect(page.get_by_role("main")).to_contain_text("ValueError in _count line 119")
        await operator.reach("Try again")
        await expect(page.get_by_role("status")).to_contain_text("1 event is tried again")
        await let_go(inst.dsn)
        await hold_an_event(inst.dsn, lead)
        await page.goto(f"{operator.url}/held")
        await operator.reach("With a reason")
        await operator.look()
        await page.get_by_label("Why, without names").focus()
        await page.keyboard.type("a rule that is gone")
        await operator.reach("Skip it")
        await expect(page.get_by_role("status")).to_contain_text("1 event counts as heard")
        assert [(one.deed, one.reason) for one in await tended(inst.dsn, "scoring")][:1] == [
            ("skip", "a rule that is gone")
        ]
        await let_go(inst.dsn)
        await operator.go("Sites")
        await page.get_by_label("Site", exact=True).focus()
        await page.keyboard.type("web-se")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("may post from now on")
        await operator.go("Keys and people")
        await expect(page.get_by_role("main")).to_contain_text("hanne")


async def test_a_lead_manager_lets_in_who_is_real_and_wins_a_deal(
    inst: Installation, people: Path, person: str, asked: dict[str, Any], browser: Browser
) -> None:
    aside = person.replace("person", "aside")
    await asyncio.to_thread(put_aside, inst, aside)
    async with visit(browser, inst, WIDE, "dark") as manager:
        page = manager.page
        await manager.sign_in("hanne", PASSWORD)
        await manager.go("Put aside")
        await manager.reach("Let in")
        await expect(page.get_by_role("link", name="let in Tove Dahl")).to_be_visible()
        await asyncio.to_thread(inst.until, lambda: inst.get("insights", "/v1/leads", q=aside)["items"])
        await manager.reach("let in")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Tove Dahl")
        await page.wait_for_load_state()
        await page.keyboard.press("/")
        await page.keyboard.type(person)
        await page.keyboard.press("Enter")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody tr")).to_contain_text(str(asked["owner_name"]))
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Mara Lindqvist")
        await manager.look()
        for words in (
            "Asked for a demo on",
            "half goes every 30 days",
            "Sum of the lines above",
            person,
            "Offers to sales",
        ):
            await expect(page.get_by_role("main")).to_contain_text(words)
        await manager.reach("Accept")
        await expect(page.locator(".heading .chip").first).to_contain_text("In work")
        await manager.reach("Won")
        await manager.look()
        await page.get_by_label("Worth").fill("18,400")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.validity.patternMismatch"), (
            "a comma may mean two things here"
        )
        await page.get_by_label("Worth").fill("18400,50")
        await page.keyboard.press("Enter")
        await expect(page.locator(".heading .chip").first).to_contain_text("Customer")
        await expect(page.get_by_role("main")).to_contain_text("18,400.50")
        await manager.look()
        assert await page.goto(f"{manager.url}/keys")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
        await manager.look()
        remove(people, "hanne")
        await asyncio.sleep(1.1)
        await page.goto(f"{manager.url}/leads")
        # Under `make run` whoever sits at the machine may go on looking, as nobody in particular.
        await expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


async def test_a_marketer_reads_on_a_phone(
    inst: Installation, people: Path, asked: dict[str, Any], browser: Browser
) -> None:
    async with visit(browser, inst, PHONE, "dark") as marketer:
        await marketer.sign_in("marek", PASSWORD)
        await marketer.look()
        for place in ("Leads", "Mails", "Sites"):
            await marketer.go(place)
        await marketer.page.goto(f"{marketer.url}/leads/{asked['lead_id']}")
        await marketer.look()


async def test_a_rep_takes_a_lead_on_a_phone_and_loses_it(
    inst: Installation, people: Path, asked: dict[str, Any], browser: Browser
) -> None:
    lead = asked["lead_id"]
    add(people, "daniel", PASSWORD, Role.rep, UUID(asked["owner"]), datetime.now(UTC))
    async with visit(browser, inst, PHONE, "light") as seller:
        page = seller.page
        await seller.sign_in("daniel", PASSWORD)
        await seller.look()
        mine = page.locator(".mine > li").filter(has=page.locator(f'form[action^="/leads/{lead}/"]'))
        await expect(mine).not_to_contain_text("+46")
        await mine.get_by_role("button", name="Accept").focus()
        await page.keyboard.press("Enter")
        await expect(mine.get_by_role("link", name="Call")).to_have_attribute("href", "tel:+46701740642")
        await seller.look()
        assert [item["stage"] for item in await worklist(inst) if item["lead_id"] == lead] == ["accepted"]
        await mine.get_by_text("Lost…").focus()
        await page.keyboard.press("Enter")
        await mine.get_by_label("Why").first.select_option(label="Went to a competitor")
        await seller.look()
        await mine.get_by_role("button", name="It was lost").focus()
        await page.keyboard.press("Enter")
        await expect(mine).to_have_count(0)
        await asyncio.to_thread(inst.until_stage, lead, "lost")
        await page.goto(f"{seller.url}/leads")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
