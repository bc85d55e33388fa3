"""The rep is told: one mail for each offer, over a real mail server or into files, whatever the server does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.handover.mailer import OfferMailer
from shared.mail import Mailer
from shared.service import Runtime
from tests.support.sales import Told, add_rep, client, handover, hear, offer_all, pass_time
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox, inbox


@pytest.fixture
async def server() -> AsyncGenerator[Inbox]:
    async with inbox() as kept:
        yield kept


@pytest.fixture
async def runtime(handover_dsn: str, clock: SetClock, server: Inbox) -> AsyncGenerator[Runtime[Any]]:
    runtime = handover(
        handover_dsn,
        clock,
        smtp_url=server.url,
        company="Tarn Sensors",
        sender="Tarn Sensors <offers@tarn.example>",
        public_url="https://leads.tarn.example",
        handover_public_url="https://sales.tarn.example",
    )
    yield runtime
    await runtime.database.close()


@pytest.fixture
async def mailer(runtime: Runtime[Any], server: Inbox, tmp_path: Path) -> AsyncGenerator[OfferMailer]:
    smtp = Mailer(server.url, tmp_path)
    yield OfferMailer(runtime, smtp)
    await smtp.close()


async def offered(runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, **lead: Any) -> Told:
    told = Told(clock, **lead)
    if not (await api.get("/v1/reps")).json()["items"]:
        await add_rep(api, "Daniel Osei", email="daniel@tarn.example")
    await hear(runtime, told.asked_for_a_demo())
    await offer_all(runtime)
    return told


async def mail_states(runtime: Runtime[Any]) -> list[tuple[str, int, str]]:
    async with runtime.database.connection() as connection:
        rows = await connection.fetch("SELECT state, attempts, error FROM handover.mail ORDER BY created_at, mail_id")
    return [tuple(row) for row in rows]


def words(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


async def test_the_mail_says_who_why_and_the_phone_and_holds_a_link_that_works(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    await offered(runtime, api, clock)
    clock.advance(timedelta(seconds=2))
    assert await mailer.work() == 1
    (message,) = server.messages
    assert message["To"] == "daniel@tarn.example"
    assert message["From"] == "Tarn Sensors <offers@tarn.example>"
    assert message["Subject"] == "Answer by 10:15: Mara Lindqvist, Norrvik Logistics"
    text = words(message)
    for expected in ("Daniel, a lead is waiting for you", "Mara Lindqvist", "Norrvik Logistics", "+46701740642"):
        assert expected in text
        assert expected in words(message, "html")
    assert "Why now:  Asked for a demo on 3 March at 10:00" in text
    links = re.findall(r"https://sales\.tarn\.example(/(?:offers|worklist)/\S+)", text)
    assert len(links) == 2
    for path in links:
        assert (await api.get(path, headers={"Authorization": ""})).status_code == 200
    assert await mail_states(runtime) == [("sent", 1, "")]
    assert await mailer.work() == 0
    assert len(server.messages) == 1


async def test_a_mail_that_got_no_receipt_is_sent_again_with_the_same_id(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    server.drop_after_data = 1
    await offered(runtime, api, clock)
    await mailer.work()
    assert await mail_states(runtime) == [("waiting", 1, "no receipt")]
    assert await mailer.work() == 0
    clock.advance(timedelta(seconds=3))
    await mailer.work()
    assert await mail_states(runtime) == [("sent", 2, "")]
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_server_that_says_later_is_asked_later_and_one_that_says_never_is_not(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    server.to_recipients[:] = ["451 4.7.1 come back later", "550 5.1.1 nobody here"]
    await offered(runtime, api, clock)
    await mailer.work()
    assert await mail_states(runtime) == [("waiting", 1, "SMTPRecipientRefused 451")]
    clock.advance(timedelta(seconds=3))
    await mailer.work()
    assert await mail_states(runtime) == [("failed", 2, "SMTPRecipientRefused 550")]
    clock.advance(timedelta(hours=1))
    assert await mailer.work() == 0
    assert server.messages == []


async def test_a_server_that_is_away_keeps_the_mail_waiting_as_long_as_the_offer_is_open(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, unused_tcp_port: int, tmp_path: Path
) -> None:
    mailer = OfferMailer(runtime, Mailer(f"smtp://127.0.0.1:{unused_tcp_port}", tmp_path))
    await offered(runtime, api, clock)
    pauses = list[int]()
    for _ in range(4):
        assert await mailer.work() == 1
        pauses.append(0)
        while not await _due(runtime):
            clock.advance(timedelta(seconds=1))
            pauses[-1] += 1
    assert pauses == [2, 4, 8, 16]
    await add_rep(api, "Ben")
    await pass_time(runtime, timedelta(minutes=15))
    async with inbox(unused_tcp_port) as server:
        clock.advance(timedelta(minutes=5))
        while await mailer.work():
            pass
        assert [message["To"] for message in server.messages] == ["ben@sales.example"]
        await mailer.mailer.close()
    assert [state for state, *_ in await mail_states(runtime)] == ["dropped", "sent"]


async def _due(runtime: Runtime[Any]) -> bool:
    async with runtime.database.connection() as connection:
        return await connection.fetchval(
            "SELECT EXISTS (SELECT FROM handover.mail WHERE state = 'waiting' AND due_at <= $1)", runtime.clock.now()
        )


async def test_a_mail_whose_sender_died_is_taken_up_by_another_after_a_while(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    await offered(runtime, api, clock)
    other = OfferMailer(runtime, mailer.mailer)
    claimed = await other._claim()  # and dies here
    assert len(claimed) == 1
    assert await mailer.work() == 0
    clock.advance(timedelta(minutes=2))
    assert await mailer.work() == 1
    assert len(server.messages) == 1
    # The one believed dead comes back: what it wants to write is no longer its to write.
    await other._note([other._failed(claimed[0], "late", permanent=True)])
    assert await mail_states(runtime) == [("sent", 2, "")]


async def test_a_sender_that_is_told_to_stop_first_sends_what_it_has_in_hand(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    await offered(runtime, api, clock)
    clock.advance(timedelta(seconds=2))
    server.hold = asyncio.Event()
    sending = asyncio.create_task(mailer.work())
    while not server.waiting:
        await asyncio.sleep(0.01)
    sending.cancel()
    server.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await mail_states(runtime) == [("sent", 1, "")]
    assert len(server.messages) == 1


async def test_many_mailers_send_each_mail_once(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, tmp_path: Path
) -> None:
    leads = [await offered(runtime, api, clock) for _ in range(20)]
    mailers = [OfferMailer(runtime, Mailer(server.url, tmp_path)) for _ in range(4)]

    async def drain(mailer: OfferMailer) -> None:
        while await mailer.work():
            pass
        await mailer.mailer.close()

    await asyncio.gather(*(drain(mailer) for mailer in mailers))
    assert len(server.messages) == len(leads)
    assert len({message["Message-ID"] for message in server.messages}) == len(leads)


async def test_who_was_not_told_in_time_is_not_told_any_more(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    lead = await offered(runtime, api, clock)
    await hear(runtime, lead.did("purchase", value="10.00", currency="EUR"))
    await mailer.work()
    assert server.messages == []
    assert await mail_states(runtime) == [("dropped", 1, "offer is over")]


async def test_the_fallback_owner_is_told_that_nobody_else_took_it(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer
) -> None:
    await add_rep(api, "Chief", fallback=True, capacity=0)
    lead = Told(clock, name="", phone="", company="")
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await mailer.work()
    (message,) = server.messages
    assert message["Subject"] == "Nobody else took it: Somebody without a name"
    assert "Answer by" not in words(message)


@pytest.mark.parametrize("name", ["Mara\r\nBcc: all@example.com", "Mara <script>alert(1)</script>", "مارا", "M" * 500])
async def test_what_a_stranger_typed_as_a_name_is_only_ever_text(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock, server: Inbox, mailer: OfferMailer, name: str
) -> None:
    await offered(runtime, api, clock, name=name)
    await mailer.work()
    (message,) = server.messages
    assert server.envelopes == [("offers@tarn.example", ["daniel@tarn.example"])]
    assert message["Bcc"] is None
    assert "\n" not in str(message["Subject"])
    assert "<script>" not in words(message, "html")
    page = await api.get(re.findall(r"https://sales\.tarn\.example(/offers/\S+)", words(message))[0])
    assert "<script>alert" not in page.text


async def test_without_a_mail_server_the_mail_is_a_file(handover_dsn: str, clock: SetClock, tmp_path: Path) -> None:
    runtime = handover(handover_dsn, clock, data_dir=tmp_path)
    mailer = OfferMailer(runtime, Mailer(None, tmp_path / "mail"))
    try:
        async with client(runtime) as api:
            await offered(runtime, api, clock)
        assert await mailer.work() == 1
        (kept,) = (tmp_path / "mail").glob("*.eml")
        message = message_from_bytes(kept.read_bytes(), policy=policy.default)
        assert message["To"] == "daniel@tarn.example"
    finally:
        await runtime.database.close()
