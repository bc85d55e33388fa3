"""How a mail is written: nothing that a person sent in becomes a header, and its link tells nothing of them."""

from __future__ import annotations

import base64
import string
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.nurture.app import pages, service
from services.nurture.claims import Claim
from services.nurture.domain.blinding import fingerprint
from services.nurture.domain.journey import Journey, MailStep
from services.nurture.domain.touch import Touch
from services.nurture.journey_files import JOURNEYS, BadJourney
from services.nurture.letters import Letters, Links
from services.nurture.settings import NurtureSettings
from shared.mail import WIRE
from shared.security import BadLink
from shared.service import Runtime

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
SECRET = b"s" * 32
LEAD = UUID("0198c5f2-0000-7000-8000-000000000042")
LINKS = Links("https://mail.tarn.example", SECRET)
LETTERS = Letters(pages, "Tarn Sensors <hello@tarn.example>", "Tarn Sensors", LINKS)
WELCOME, SECOND = JOURNEYS["welcome"].mails
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version",
    "Content-Type",
}  # fmt: skip
INJECTIONS = [
    "Mara\r\nBcc: all@example.com",
    "Mara\nBcc: all@example.com",
    "Mara\rBcc: all@example.com",
    "Mara\x0bBcc: all@example.com",
    "Mara\x85Bcc: all@example.com",
    "Mara\u2028Bcc: all@example.com",
    "Mara%0d%0aBcc: all@example.com",
    "=?utf-8?q?Mara=0D=0ABcc:_all@example.com?=",
    "Mara\r\n\r\n<html>another body</html>",
    "{{ 7 * 7 }}{% include 'welcome.txt' %}",
    "<script>steal()</script>",
    "M" * 5000,
]


def claim(email: str = "mara@norrvik.example", name: str = "Mara Lindqvist") -> Claim:
    touch = Touch(UUID(int=7), 1, "welcome", "welcome", "marketing", NOON, NOON)
    return Claim(LEAD, touch, "abc@tarn.example", email, fingerprint(email, SECRET), name, "", False)


def sent(message: EmailMessage) -> EmailMessage:
    """The message as it is read at the other end."""
    return message_from_bytes(message.as_bytes(policy=WIRE), policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("step", [WELCOME, SECOND])
def test_a_mail_says_who_writes_and_how_it_ends(step: MailStep) -> None:
    message = sent(LETTERS.write(claim(), step, NOON))
    assert set(message.keys()) == HEADERS
    assert message["From"] == "Tarn Sensors <hello@tarn.example>"
    assert message["Message-ID"] == "<abc@tarn.example>"
    link = str(message["List-Unsubscribe"]).strip("<>")
    assert link.startswith("https://mail.tarn.example/u/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for kind in ("plain", "html"):
        assert "Mara Lindqvist" in body(message, kind)
        assert link in body(message, kind)


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_hostile_name_becomes_no_header_and_no_markup(name: str) -> None:
    message = sent(LETTERS.write(claim(name=name), WELCOME, NOON))
    assert set(message.keys()) == HEADERS
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert "49" not in body(message, "plain")
    assert "<script>" not in body(message, "html")
    assert "another body" not in body(message, "plain")


@pytest.mark.parametrize(
    "email",
    [
        "mara@norrvik.example\r\nBcc: all@example.com",
        "mara@norrvik.example\nBcc: all@example.com",
        "mara@norrvik.example, all@example.com",
        "mara@norrvik.example>, <all@example.com",
        "mara",
        "",
    ],
)
def test_an_address_that_is_none_or_several_is_not_written_to(email: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of the standard library
        LETTERS.write(claim(email=email), WELCOME, NOON)


@given(st.text(max_size=80))
def test_whatever_the_name_there_are_the_same_headers(name: str) -> None:
    assert set(sent(LETTERS.write(claim(name=name), WELCOME, NOON)).keys()) == HEADERS


def test_a_name_that_advertises_is_not_repeated() -> None:
    message = sent(LETTERS.write(claim(name="Win at http://casino.example"), WELCOME, NOON))
    assert "casino" not in message.as_string()
    assert message["Subject"] == "Thank you for your interest"


def test_a_link_tells_nothing_of_the_person() -> None:
    link = LINKS.unsubscribe(claim())
    token = link.rpartition("/")[2]
    _, _, signed = token.partition(".")
    payload = signed.split(".")[0]
    readable = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("latin-1")
    for secret in ("mara", "norrvik", "Lindqvist", str(LEAD), LEAD.hex):
        assert secret not in readable
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


def test_a_link_is_good_for_ever_and_only_as_it_was_signed() -> None:
    token = LINKS.unsubscribe(claim()).rpartition("/")[2]
    asked = LINKS.read(token, datetime(2066, 1, 1, tzinfo=UTC))
    assert (asked.touch_id, asked.purpose) == (UUID(int=7), "marketing")
    assert asked.fingerprint == fingerprint("mara@norrvik.example", SECRET)
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        # The last sign of a base64 text has bits that say nothing.
        if place < len(token) - 1:
            with pytest.raises(BadLink):
                LINKS.read(changed, NOON)
    with pytest.raises(BadLink):
        Links("", b"another secret").read(token, NOON)


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (replace(WELCOME, name="nothing"), "TemplateNotFound"),
        (replace(WELCOME, subject="Hello {{ nmae }}"), "nmae"),
        (replace(WELCOME, subject="{{ ''.__class__.__mro__ }}"), "unsafe|SecurityError"),
    ],
)
def test_a_mail_that_cannot_be_written_is_found_at_the_start(step: MailStep, complaint: str) -> None:
    journey = Journey("welcome", 1, "marketing", frozenset({"registered"}), frozenset({"sql"}), (step,))
    with pytest.raises(BadJourney, match=rf"welcome\.yaml: the mail {step.name} .*({complaint})"):
        LETTERS.check([journey])


def test_all_mails_of_all_journeys_can_be_written() -> None:
    LETTERS.check(JOURNEYS.values())


def test_a_service_does_not_start_with_a_mail_it_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    welcome = JOURNEYS["welcome"]
    monkeypatch.setitem(JOURNEYS, "welcome", replace(welcome, mails=(replace(WELCOME, name="nothing"),)))
    settings = NurtureSettings(database_url="postgresql://nobody@localhost/nothing", api_key="the-operators-key")
    with pytest.raises(BadJourney, match="nothing"):
        Runtime(service, settings)
