"""Without a mail server mails are files, shown to whoever sits at this machine and to nobody else."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.nurturing import Nurture, Told, client, nurture
from tests.support.pages import Page
from tests.support.set_clock import SetClock


def at(house: Nurture, address: str = "127.0.0.1", host: str = "127.0.0.1:8003", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=house.runtime.app(("api",)), client=(address, 50000))
    return client(house.runtime, transport=transport, headers={"host": host, **headers})


async def with_a_mail(home: Nurture, clock: SetClock, **more: str) -> Told:
    lead = Told(clock, **more)
    await home.hear(lead.registered())
    assert await home.work() == 1
    return lead


async def test_the_list_leads_to_each_mail_and_its_file(home: Nurture, clock: SetClock) -> None:
    lead = await with_a_mail(home, clock)
    async with at(home, host="localhost:8003") as page:
        listed = await page.get("/mails")
        assert listed.status_code == 200
        (address,) = [
            link.attributes["href"]
            for link in Page.of(listed.text).all("a")
            if link.attributes["href"].startswith("/mails/")
        ]
        shown = await page.get(address)
        assert lead.email in shown.text
        assert "Three questions" not in shown.text
        assert "/u/" in shown.text
        file = await page.get(f"{address}/file")
    assert file.headers["content-type"] == "message/rfc822"
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in file.content
    assert (await home.touches(lead))[0] == ("welcome", "sent", "")


async def test_a_hostile_name_is_shown_as_text(home: Nurture, clock: SetClock) -> None:
    await with_a_mail(home, clock, name="<script>steal()</script>")
    async with at(home) as page:
        listed = await page.get("/mails")
    assert "<script>steal" not in listed.text


async def test_many_mails_are_shown_page_by_page(home: Nurture, clock: SetClock) -> None:
    leads = [Told(clock, email=f"lead{number}@example.com") for number in range(53)]
    await home.hear(*(lead.registered() for lead in leads))
    assert await home.work() == 53
    async with at(home) as page:
        first, second = (await page.get("/mails")).text, (await page.get("/mails?after=50")).text
    assert first.count('href="/mails/') == 50
    assert second.count('href="/mails/') == 3
    assert "/mails?after=50" in first


@pytest.mark.parametrize(
    ("address", "host", "headers"),
    [
        ("192.0.2.7", "127.0.0.1:8003", {}),
        ("127.0.0.1", "evil.example:8003", {}),
        ("127.0.0.1", "127.0.0.1.evil.example", {}),
        ("127.0.0.1", "127.0.0.1:8003", {"x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", "127.0.0.1:8003", {"forwarded": "for=192.0.2.7"}),
    ],
)
async def test_nobody_from_elsewhere_sees_a_mail(
    home: Nurture, clock: SetClock, address: str, host: str, headers: dict[str, str]
) -> None:
    await with_a_mail(home, clock)
    (file,) = (home.runtime.settings.data_dir / "mail").iterdir()
    async with at(home, address, host, **headers) as page:
        for path in ("/mails", f"/mails/{file.stem}", f"/mails/{file.stem}/file"):
            assert (await page.get(path)).status_code == 404


async def test_it_is_shown_only_where_it_is_asked_for_and_nothing_is_really_sent(
    nurture_dsn: str, clock: SetClock, tmp_path: Path
) -> None:
    silent = nurture(nurture_dsn, clock, tmp_path)
    sending = nurture(nurture_dsn, clock, tmp_path, mail_page=True, smtp_url="smtp://127.0.0.1:25")
    for house in (silent, sending):
        async with at(house) as page:
            assert (await page.get("/mails")).status_code == 404
        await house.runtime.database.close()


@pytest.mark.parametrize("name", ["..%2Fapi_key", "%2e%2e%2fapi_key", ".hidden", "nothing", "a%00b", "x" * 300])
async def test_no_other_file_can_be_read(home: Nurture, clock: SetClock, name: str) -> None:
    await with_a_mail(home, clock)
    (home.runtime.settings.data_dir / "api_key.eml").write_text("secret")
    (home.runtime.settings.data_dir / "mail" / ".hidden.eml").write_text("secret")
    async with at(home) as page:
        for path in (f"/mails/{name}", f"/mails/{name}/file"):
            answer = await page.get(path)
            assert answer.status_code == 404
            assert "secret" not in answer.text


async def test_before_the_first_mail_the_page_says_so(home: Nurture) -> None:
    async with at(home) as page:
        answer = await page.get("/mails")
    assert answer.status_code == 200
    assert "No mails yet" in answer.text
