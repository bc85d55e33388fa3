"""Without a mail server mails are files, which nurture tells of to whoever may see people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nurturing import Nurture, Told, client, nurture
from tests.support.set_clock import SetClock


async def with_a_mail(home: Nurture, clock: SetClock, **more: str) -> Told:
    lead = Told(clock, **more)
    await home.hear(lead.registered())
    assert await home.work() == 1
    return lead


async def test_the_list_names_each_mail_and_each_is_told_whole(home: Nurture, clock: SetClock) -> None:
    lead = await with_a_mail(home, clock)
    async with client(home.runtime) as api:
        listed = (await api.get("/v1/mails")).raise_for_status().json()
        assert listed["folder"] == str(home.runtime.settings.data_dir / "mail")
        (line,) = listed["items"]
        assert (line["to"], line["at"]) == (lead.email, "2026-03-03T10:00:00Z")
        mail = (await api.get(f"/v1/mails/{line['name']}")).raise_for_status().json()
    assert {name: mail[name] for name in line} == line
    assert "/u/" in mail["text"]
    assert "<" not in mail["text"]
    assert mail["unsubscribe"] in mail["text"]
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in mail["source"]
    assert (await home.touches(lead))[0] == ("welcome", "sent", "")


async def test_many_mails_are_told_page_by_page_and_each_once(home: Nurture, clock: SetClock) -> None:
    leads = [Told(clock, email=f"lead{number}@example.com") for number in range(13)]
    await home.hear(*(lead.registered() for lead in leads))
    assert await home.work() == 13
    told: list[str] = []
    query: dict[str, str] = {"limit": "5"}
    async with client(home.runtime) as api:
        for size in (5, 5, 3):
            page = (await api.get("/v1/mails", params=query)).json()
            assert len(page["items"]) == size
            told += [mail["to"] for mail in page["items"]]
            query["cursor"] = page["next"] or ""
    assert query["cursor"] == ""
    assert sorted(told) == sorted(lead.email for lead in leads)


async def test_with_a_mail_server_there_are_none(nurture_dsn: str, clock: SetClock, tmp_path: Path) -> None:
    sending = nurture(nurture_dsn, clock, tmp_path, smtp_url="smtp://127.0.0.1:25")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "old.eml").write_text("To: mara@norrvik.example\n\nof before")
    async with client(sending.runtime) as api:
        assert (await api.get("/v1/mails")).json() == {"items": [], "next": None, "folder": None}
        assert (await api.get("/v1/mails/old")).status_code == 404
    await sending.runtime.database.close()


@pytest.mark.parametrize("name", ["..%2Fapi_key", "%2e%2e%2fapi_key", ".hidden", "nothing", "a%00b", "x" * 300])
async def test_no_other_file_can_be_read(home: Nurture, clock: SetClock, name: str) -> None:
    await with_a_mail(home, clock)
    (home.runtime.settings.data_dir / "api_key.eml").write_text("secret")
    (home.runtime.settings.data_dir / "mail" / ".hidden.eml").write_text("secret")
    async with client(home.runtime) as api:
        answer = await api.get(f"/v1/mails/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text
