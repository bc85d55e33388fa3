"""The console's pages, drawn from what was heard."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx

from shared.events.capture import Consent
from shared.events.scoring import ScoreChanged
from shared.service import Runtime
from tests.support.lives import Life, hear
from tests.support.pages import Page
from tests.support.set_clock import SetClock


async def shown(api: httpx.AsyncClient, path: str) -> str:
    answer = (await api.get(path)).raise_for_status()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    page = Page.of(answer.text)
    assert not page.inline_scripts
    return answer.text


async def test_the_first_page_says_on_the_first_day_that_there_is_nothing(api: httpx.AsyncClient) -> None:
    assert "No leads yet" in await shown(api, "/")
    assert "No leads yet" in await shown(api, "/leads")


async def test_the_first_page_shows_the_funnel_and_the_newest_changes(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lives = [Life(clock.now(), name=f"Lead {number}", source="webinar") for number in range(6)]
    told = [event for life in lives for event in life.born()]
    await hear(runtime, told + lives[0].way(("registered", "contact_valid"), ("sql", "demo_requested")))
    page = await shown(api, "/")
    assert re.search(r'id="leads-captured"[^>]*>6<', page)
    assert re.search(r'id="leads-sql"[^>]*>1<', page)
    assert "16.7\u00a0%" in page
    assert "webinar" in page
    assert page.index("Asked for a demo") < page.index("Showed interest")


async def test_the_page_of_a_lead_shows_who_how_far_and_why(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now(), name="Mara Lindqvist")
    yes = Consent(True, clock.now(), "Yes, send me news", "form")
    card = life.card(company="Norrvik Logistics", answers={"role": "Head of operations"}, consent={"newsletter": yes})
    told = [card, life.moved("captured", "first_interest")]
    told += life.way(("registered", "contact_valid"), ("sql", "demo_requested"))
    score = ScoreChanged(score=84.0, fit=30.0, engagement=54.0, grade="A", temperature="hot", cycle=1, rules_version=17)
    await hear(runtime, [*told, life.say(score)])
    page = await shown(api, f"/leads/{life.lead_id}")
    for words in ("Mara Lindqvist", "Norrvik Logistics", "Head of operations", "mara@norrvik.example", "84.0",
                  "54.0 engagement + 30.0 fit (A)", "rules version 17", "Newsletter", "Yes, send me news",
                  "Asked for a demo", "Ready for sales (SQL)", "1 min"):  # fmt: skip
        assert words in page, words


async def test_the_list_goes_forth_and_back(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock) -> None:
    lives = [Life(clock.now() + timedelta(minutes=number), name=f"Lead {number:03}") for number in range(120)]
    await hear(runtime, [event for life in lives for event in life.born()])

    def names(page: str) -> list[str]:
        return re.findall(r"<b>(Lead \d+)</b>", page)

    def link(page: str, rel: str) -> str:
        return re.search(rf'href="([^"]+)" rel="{rel}"', page)[1].replace("&amp;", "&")  # type: ignore[index]

    def numbers(page: str) -> str:
        return re.sub(r"<[^>]+>", "", re.search(r'class="card-foot">\s*<span>(.*?)</span>', page)[1])  # type: ignore[index]

    first = await shown(api, "/leads?stage=captured&q=lead")
    assert (names(first)[0], names(first)[-1], len(names(first))) == ("Lead 119", "Lead 070", 50)
    assert numbers(first) == "1 to 50 of 120"
    second = await shown(api, link(first, "next"))
    third = await shown(api, link(second, "next"))
    assert (names(third)[-1], numbers(third)) == ("Lead 000", "101 to 120 of 120")
    assert 'rel="next"' not in third
    back = await shown(api, link(third, "prev"))
    assert (names(back), numbers(back)) == (names(second), numbers(second))
    top = await shown(api, link(back, "prev"))
    assert names(top) == names(first)
    assert 'rel="prev"' not in top


async def test_a_list_that_is_empty_by_its_filter_says_what_hides_the_most(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await hear(runtime, Life(clock.now(), name="Mara").born())
    assert "Without the stage there would be 1." in await shown(api, "/leads?q=mara&stage=sql")
    assert "No lead matches" in await shown(api, "/leads?q=nobody")


async def test_a_lead_leads_to_those_beside_it_in_the_list(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    lives = [Life(clock.now() + timedelta(minutes=number)) for number in range(3)]
    await hear(runtime, [event for life in lives for event in life.born()])
    page = await shown(api, f"/leads/{lives[1].lead_id}")
    assert re.search(rf'href="/leads/{lives[2].lead_id}" data-last', page)
    assert re.search(rf'href="/leads/{lives[0].lead_id}" data-next', page)
    assert "data-last" not in await shown(api, f"/leads/{lives[2].lead_id}")


async def test_what_a_person_typed_stays_text(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock) -> None:
    life = Life(clock.now(), name="<script>steal()</script>", source='"><img src=x onerror=steal()>')
    await hear(runtime, [*life.born(), life.did("page_viewed", path="/<b>bold</b>")])
    for path in ("/", "/leads", f"/leads/{life.lead_id}", "/leads?q=%3Cscript%3E"):
        page = Page.of(await shown(api, path))
        assert not [image for image in page.all("img") if image.attributes.get("src") == "x"]
