"""Mail over a real SMTP server and into files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from shared.mail import CONNECTIONS, Mailer, MailRefused, MailServerAway, MailUncertain, as_they_leave, compose
from tests.support.smtp import Inbox, inbox

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def a_mail(number: int = 1, to: str = "rep@example.com", subject: str = "A lead is waiting for you") -> EmailMessage:
    return compose(
        sender="Leadline <leadline@example.com>",
        to=to,
        subject=subject,
        text="Zoë wartet.\n.\nEine Zeile mit nur einem Punkt darüber.\n",
        html="<p>Zoë wartet.</p>",
        message_id=f"{number}@example.com",
        at=AT,
    )


@pytest.fixture
async def server() -> AsyncGenerator[Inbox]:
    async with inbox() as kept:
        yield kept


@pytest.fixture
async def mailer(server: Inbox, tmp_path: Path) -> AsyncGenerator[Mailer]:
    mailer = Mailer(server.url, tmp_path)
    yield mailer
    await mailer.close()


async def test_a_message_arrives_as_it_was_written(server: Inbox, mailer: Mailer) -> None:
    await mailer.send(a_mail())
    (message,) = server.messages
    assert message["Subject"] == "A lead is waiting for you"
    assert message["Message-ID"] == "<1@example.com>"
    assert server.envelopes == [("leadline@example.com", ["rep@example.com"])]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Zoë wartet.\n.\nEine Zeile mit nur einem Punkt darüber.\n"
    assert html.get_content().strip() == "<p>Zoë wartet.</p>"


async def test_many_messages_at_once_share_a_few_connections(server: Inbox, mailer: Mailer) -> None:
    await asyncio.gather(*(mailer.send(a_mail(number)) for number in range(20)))
    assert {message["Message-ID"] for message in server.messages} == {f"<{n}@example.com>" for n in range(20)}
    assert server.connections == CONNECTIONS
    await mailer.send(a_mail(20))
    assert server.connections == CONNECTIONS


async def test_a_connection_that_rested_too_long_is_left_though_another_was_used(server: Inbox, mailer: Mailer) -> None:
    await asyncio.gather(*(mailer.send(a_mail(number)) for number in range(8)))
    assert len(mailer._kept) == CONNECTIONS
    # All but the one used last have rested for long; a router may have forgotten them without a word.
    mailer._kept = [(used - 60, resting) for used, resting in mailer._kept[:-1]] + mailer._kept[-1:]
    await mailer.send(a_mail(8))
    assert len(mailer._kept) == 1
    assert server.connections == CONNECTIONS


async def test_what_is_still_on_its_way_ends_with_whoever_waits_for_it() -> None:
    ended: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")
        return "slow"

    async def quick() -> str:
        return "quick"

    leaving = as_they_leave([slow(), quick()])
    assert await anext(leaving) == ["quick"]
    await leaving.aclose()
    await asyncio.sleep(0)
    assert ended == ["slow"]


async def test_a_connection_the_server_closed_while_idle_is_opened_again(server: Inbox, mailer: Mailer) -> None:
    await mailer.send(a_mail(1))
    server.hang_up()
    await mailer.send(a_mail(2))
    assert [message["Message-ID"] for message in server.messages] == ["<1@example.com>", "<2@example.com>"]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "permanent"), [("550 5.1.1 no such user", True), ("451 4.7.1 try again later", False)]
)
async def test_a_refused_recipient_says_whether_it_is_for_good(
    server: Inbox, mailer: Mailer, answer: str, permanent: bool
) -> None:
    server.to_recipients.append(answer)
    with pytest.raises(MailRefused) as refused:
        await mailer.send(a_mail(1))
    assert (refused.value.permanent, refused.value.code) == (permanent, int(answer[:3]))
    await mailer.send(a_mail(2))
    assert [message["Message-ID"] for message in server.messages] == ["<2@example.com>"]
    assert server.connections == 1


async def test_a_message_refused_as_a_whole_was_not_accepted(server: Inbox, mailer: Mailer) -> None:
    server.to_messages.append("554 5.7.1 looks like spam")
    with pytest.raises(MailRefused) as refused:
        await mailer.send(a_mail())
    assert refused.value.permanent


async def test_a_connection_that_breaks_before_the_receipt_leaves_it_uncertain(server: Inbox, mailer: Mailer) -> None:
    server.drop_after_data = 1
    with pytest.raises(MailUncertain):
        await mailer.send(a_mail(1))
    await mailer.send(a_mail(2))
    assert [message["Message-ID"] for message in server.messages] == ["<1@example.com>", "<2@example.com>"]


async def test_a_server_that_is_away_is_told_from_a_refusal(unused_tcp_port: int, tmp_path: Path) -> None:
    mailer = Mailer(f"smtp://127.0.0.1:{unused_tcp_port}", tmp_path)
    with pytest.raises(MailServerAway):
        await mailer.send(a_mail())


async def test_without_a_server_the_message_is_a_file_and_sent_twice_it_is_one(tmp_path: Path) -> None:
    mailer = Mailer(None, tmp_path / "mail")
    await mailer.send(a_mail())
    await mailer.send(a_mail())
    (kept,) = (tmp_path / "mail").iterdir()
    assert kept.suffix == ".eml"
    assert kept.parent.stat().st_mode & 0o077 == 0, "names, addresses and signed links are in it"
    message = message_from_bytes(kept.read_bytes(), policy=policy.default)
    assert message["To"] == "rep@example.com"


@pytest.mark.parametrize("subject", ["Hello\nBcc: all@example.com", "Hello\r\nX: y"])
def test_a_line_break_in_a_header_is_an_error(subject: str) -> None:
    with pytest.raises(ValueError, match="line"):
        a_mail(subject=subject)


@pytest.mark.parametrize("to", ["a@example.com, b@example.com", "nobody", "", "a@example.com\nBcc: b@example.com"])
def test_a_message_goes_to_one_address(to: str) -> None:
    with pytest.raises(ValueError, match=r"address|line"):
        a_mail(to=to)
