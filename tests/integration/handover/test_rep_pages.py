"""The page behind the link in a rep's mail: no login, opening decides nothing, and it works once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from services.handover.settings import HandoverSettings
from services.handover.writing import Letters
from shared.service import Runtime
from tests.support.pages import Page
from tests.support.sales import Told, add_rep, client, hear, moves, offer_all, pass_time, said
from tests.support.set_clock import SetClock

CONTACT = ("+46701740642", "mara@norrvik.example", "Lindqvist")


@pytest.fixture
async def anna(api: httpx.AsyncClient) -> str:
    return await add_rep(api, "Anna Berg")


@pytest.fixture
async def lead(runtime: Runtime[Any], anna: str, clock: SetClock) -> Told:
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    return lead


@pytest.fixture
async def link(runtime: Runtime[Any], lead: Told) -> str:
    return await link_of(runtime, lead)


@pytest.fixture
async def browser(runtime: Runtime[Any]) -> AsyncGenerator[httpx.AsyncClient]:
    """A rep's browser: no key, and it follows redirects."""
    async with client(runtime) as browser:
        del browser.headers["Authorization"]
        browser.follow_redirects = True
        yield browser


def letters(runtime: Runtime[Any]) -> Letters:
    return Letters(cast("HandoverSettings", runtime.settings))


async def link_of(runtime: Runtime[Any], lead: Told) -> str:
    async with runtime.database.connection() as connection:
        offer_id = await connection.fetchval("SELECT offer_id FROM handover.lead WHERE lead_id = $1", lead.lead_id)
    return letters(runtime).links.offer_path(offer_id)


async def test_opening_the_page_decides_nothing_and_shows_no_contact_data(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, link: str
) -> None:
    before = await said(runtime)
    for _ in range(3):
        page = await browser.get(link)
        assert page.status_code == 200
    assert "Anna, a lead is waiting for you" in page.text
    assert "Mara L." in page.text
    assert "Asked for a demo" in page.text
    assert not [secret for secret in CONTACT if secret in page.text]
    assert await said(runtime) == before
    forms = [form.attributes for form in Page.of(page.text).all("form")]
    assert forms == [
        {"method": "post", "action": f"{link}/accept"},
        {"class": "card return", "method": "post", "action": f"{link}/return"},
    ]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"


async def test_accepting_by_the_page_shows_the_contact_data_and_twice_is_once(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, link: str
) -> None:
    answers = await asyncio.gather(*(browser.post(f"{link}/accept") for _ in range(5)))
    for page in [*answers, await browser.get(link)]:
        assert page.status_code == 200
        assert "Anna, this lead is yours" in page.text
        assert all(secret in page.text for secret in CONTACT)
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ("accepted", "accepted")]
    await pass_time(runtime, timedelta(hours=1))
    assert "this lead is yours" in (await browser.get(link)).text


async def test_returning_by_the_page_needs_a_reason_and_loses_no_word(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, link: str
) -> None:
    refused = await browser.post(f"{link}/return", data={"note": "They ship from Oslo."})
    assert refused.status_code == 422
    page = Page.of(refused.text)
    assert page.fields()["note"].attributes["value"] == "They ship from Oslo."
    assert "Please say why" in refused.text
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered")]
    done = await browser.post(f"{link}/return", data={"reason": "no_need", "note": "They ship from Oslo.\0"})
    assert (done.status_code, "You returned it" in done.text) == (200, True)
    assert await moves(runtime, lead.lead_id) == [("handed_over", "offered"), ("returned", "no_need")]
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT note FROM handover.offer") == "They ship from Oslo."
    for way in ("accept", "return"):
        late = await browser.post(f"{link}/{way}", data={"reason": "no_budget"})
        assert "You returned it" in late.text
    assert len(await moves(runtime, lead.lead_id)) == 2


async def test_an_accepted_lead_can_still_be_returned_by_its_page(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, link: str
) -> None:
    accepted = await browser.post(f"{link}/accept")
    assert f'action="{link}/return"' in accepted.text
    done = await browser.post(f"{link}/return", data={"reason": "unreachable"})
    assert "You returned it" in done.text
    assert not [secret for secret in CONTACT if secret in done.text]
    assert (await moves(runtime, lead.lead_id))[-1] == ("returned", "unreachable")


async def test_a_link_whose_offer_is_over_says_so_and_does_nothing(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, link: str
) -> None:
    async with runtime.database.transaction() as connection:
        await connection.execute("UPDATE handover.rep SET turn = 5")
    async with runtime.database.connection() as connection:
        await connection.execute(
            """INSERT INTO handover.rep (rep_id, name, email, created_at)
                VALUES (gen_random_uuid(), 'Ben', 'ben@sales.example', now())"""
        )
    await pass_time(runtime, timedelta(minutes=15))
    before = await moves(runtime, lead.lead_id)
    assert before[-2:] == [("sql", "expired"), ("handed_over", "offered")]
    for page in (
        await browser.get(link),
        await browser.post(f"{link}/accept"),
        await browser.post(f"{link}/return", data={"reason": "no_need"}),
    ):
        assert page.status_code == 410
        assert "Nobody answered in time, so the next rep was asked." in page.text
        assert not [secret for secret in CONTACT if secret in page.text]
    assert await moves(runtime, lead.lead_id) == before
    other = await link_of(runtime, lead)
    assert other != link
    assert "is waiting for you" in (await browser.get(other)).text


async def test_only_a_link_of_ours_and_for_this_purpose_opens_anything(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, anna: str, link: str
) -> None:
    token = link.rsplit("/", 1)[1]
    worklist = letters(runtime).links.worklist_path(UUID(anna)).rsplit("/", 1)[1]
    forged = f"{token[:-5]}{'A' if token[-5] != 'A' else 'B'}{token[-4:]}"
    for bad in (token[:-1], forged, "x", worklist, "a.b.c"):
        for answer in (await browser.get(f"/offers/{bad}"), await browser.post(f"/offers/{bad}/accept")):
            assert answer.status_code == 404, bad
            assert "This link is over" in answer.text
    assert (await browser.get(f"/worklist/{token}")).status_code == 404
    assert len(await moves(runtime, lead.lead_id)) == 1


async def test_the_reps_worklist_shows_what_is_theirs_and_hides_contact_data_until_accepted(
    runtime: Runtime[Any], browser: httpx.AsyncClient, lead: Told, anna: str, clock: SetClock, link: str
) -> None:
    warm = Told(clock, name="Petra Nowak", company="Chłodnia Wisła")
    await hear(runtime, warm.became_sql(80.0, "warm"))
    await offer_all(runtime)
    path = letters(runtime).links.worklist_path(UUID(anna))
    page = await browser.get(path)
    assert page.status_code == 200
    assert page.text.index("Mara L.") < page.text.index("Petra N.")
    assert not [secret for secret in CONTACT if secret in page.text]
    assert "2 in all" in page.text
    await browser.post(f"{link}/accept")
    shown = (await browser.get(path)).text
    assert all(secret in shown for secret in CONTACT)


async def test_the_pages_files_are_served(browser: httpx.AsyncClient, link: str) -> None:
    page = Page.of((await browser.get(link)).text)
    files = [one.attributes["href"] for one in page.all("link")] + [one.attributes["src"] for one in page.all("script")]
    assert files
    for file in files:
        assert (await browser.get(file)).status_code == 200, file


async def test_what_the_rep_before_noted_is_shown_to_the_next_once_they_accept(
    runtime: Runtime[Any], browser: httpx.AsyncClient, api: httpx.AsyncClient, lead: Told, link: str
) -> None:
    await browser.post(f"{link}/return", data={"reason": "bad_timing", "note": "Call Mara Lindqvist in May."})
    await add_rep(api, "Ben")
    lead.stage = "returned"
    await hear(runtime, lead.moved("sql", "hold_ended", seq=6, score=40.0, temperature="warm"))
    await offer_all(runtime)
    link = await link_of(runtime, lead)
    page = await browser.get(link)
    assert "Returned before: the time is wrong for them" in page.text
    assert "in May" not in page.text
    assert "Call Mara Lindqvist in May." in (await browser.post(f"{link}/accept")).text
