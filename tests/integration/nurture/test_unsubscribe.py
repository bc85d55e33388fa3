"""The link in every mail: opening it changes nothing, one POST ends it, and nothing leaves after the answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from random import Random

import httpx
import pytest

from services.nurture import claims, unsubscribing
from services.nurture.app import mailing
from services.nurture.domain.blinding import fingerprint
from services.nurture.domain.touch import touch_id_of
from services.nurture.mailing import Mailing
from shared.events.nurture import Unsubscribed
from shared.security import Signer
from tests.support.nurturing import Nurture, Told, client, unsubscribe_path
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
THREE_DAYS = timedelta(days=3)


async def written_to(house: Nurture, mails: Inbox, clock: SetClock) -> tuple[Told, EmailMessage]:
    lead = Told(clock)
    await house.hear(lead.registered())
    await house.work()
    return lead, mails.messages[-1]


def reader(house: Nurture) -> httpx.AsyncClient:
    """Whoever got the mail: no key, no cookies."""
    return client(house.runtime, headers={})


async def test_opening_the_link_shows_one_button_and_changes_nothing(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    before = await house.touches(lead)
    async with reader(house) as anybody:
        for method in ("GET", "HEAD", "GET"):
            answer = await anybody.request(method, unsubscribe_path(mail))
            assert answer.status_code == 200
    assert answer.text.count("<button") == 1
    assert 'method="post"' in answer.text
    assert lead.email not in answer.text
    assert await house.touches(lead) == before
    assert await house.words(lead) == ["enrolled", "sent"]
    assert await house.value("SELECT count(*) FROM nurture.suppression") == 0
    assert await house.work(after=THREE_DAYS) == 1


@pytest.mark.parametrize("body", [b"List-Unsubscribe=One-Click", b""])
async def test_one_post_without_login_or_cookies_ends_it(
    house: Nurture, mails: Inbox, clock: SetClock, body: bytes
) -> None:
    lead, mail = await written_to(house, mails, clock)
    async with reader(house) as anybody:
        answer = await anybody.post(
            unsubscribe_path(mail), content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await house.work(after=THREE_DAYS) == 0
    assert await house.touches(lead) == [("welcome", "sent", ""), ("second", "skipped", "unsubscribed")]
    assert await house.words(lead) == ["enrolled", "sent", "unsubscribed", "exited"]
    said = (await house.said(lead))[2]
    assert said.data == Unsubscribed(purpose="marketing", journey="welcome", step="welcome", by="link")
    assert said.attributes.actorkind == "lead"
    assert len(mails.messages) == 1


async def test_a_mail_that_waits_to_be_sent_is_not_sent(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    lead, mail = await written_to(house, mails, clock)
    await house.fire(after=THREE_DAYS)
    assert (await house.touches(lead))[1] == ("second", "planned", "")
    async with reader(house) as anybody:
        assert (await anybody.post(unsubscribe_path(mail))).status_code == 200
    assert await house.work() == 0
    assert (await house.touches(lead))[1] == ("second", "skipped", "unsubscribed")


async def test_the_same_post_again_is_answered_alike_and_says_nothing_new(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    async with reader(house) as anybody:
        answers = await asyncio.gather(*(anybody.post(unsubscribe_path(mail), data=ONE_CLICK) for _ in range(8)))
        clock.advance(timedelta(days=900))
        answers.append(await anybody.post(unsubscribe_path(mail), data=ONE_CLICK))
    assert {answer.status_code for answer in answers} == {200}
    assert (await house.words(lead)).count("unsubscribed") == 1
    assert await house.value("SELECT count(*) FROM nurture.suppression") == 1


async def test_a_wrong_link_is_not_found(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    _, mail = await written_to(house, mails, clock)
    path, secret = unsubscribe_path(mail), house.runtime.settings.secret
    token = path.removeprefix("/u/")
    touch, address, _ = Signer("unsubscribe", secret).read(token, clock.now())
    wrong = [
        "x",
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        Signer("offer", secret).sign([touch, address, "marketing"]),
        Signer("unsubscribe", b"another secret").sign([touch, address, "marketing"]),
        Signer("unsubscribe", secret).sign("not three things"),
    ]
    async with reader(house) as anybody:
        for one in wrong:
            assert (await anybody.get(f"/u/{one}")).status_code == 404
            assert (await anybody.post(f"/u/{one}", data=ONE_CLICK)).status_code == 404
    assert await house.value("SELECT count(*) FROM nurture.suppression") == 0


async def test_the_address_is_meant_whoever_it_is_called_and_only_a_later_consent_lifts_it(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    twin = Told(clock, email=lead.email, name="M. Lindqvist")
    await house.hear(twin.registered())
    await house.fire()
    clock.advance(timedelta(hours=1))
    async with reader(house) as anybody:
        await anybody.post(unsubscribe_path(mail))
    assert await house.words(twin) == ["enrolled", "unsubscribed", "exited"]
    late = Told(clock, email=lead.email)
    await house.hear(late.card(at=clock.now()), late.moved("captured"), late.moved("registered"))
    assert await house.work() == 0
    assert await house.touches(late) == [("welcome", "skipped", "unsubscribed")]
    clock.advance(timedelta(microseconds=1))
    await house.hear(late.card(at=clock.now()))
    assert await house.work() == 1
    assert (await house.touches(late))[0] == ("welcome", "sent", "")
    assert await house.work(after=THREE_DAYS) == 1
    assert len(mails.messages) == 3
    assert {str(one["To"]) for one in mails.messages} == {lead.email}


async def test_who_unsubscribed_once_and_agreed_again_can_unsubscribe_again(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    async with reader(house) as anybody:
        await anybody.post(unsubscribe_path(mail))
        clock.advance(timedelta(days=1))
        await house.hear(lead.card())
        assert (await house.words(lead)).count("unsubscribed") == 1
        clock.advance(timedelta(days=1))
        await anybody.post(unsubscribe_path(mail))
    assert (await house.words(lead)).count("unsubscribed") == 2


async def test_the_present_address_of_the_lead_is_meant_as_well_as_the_one_the_mail_went_to(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    old, lead.email = lead.email, "mara.new@norrvik.example"
    await house.hear(lead.card())
    async with reader(house) as anybody:
        await anybody.post(unsubscribe_path(mail))
    secret = house.runtime.settings.secret
    for address in (old, lead.email):
        held = await house.value(
            "SELECT reason FROM nurture.suppression WHERE fingerprint = $1", fingerprint(address, secret)
        )
        assert held == "unsubscribed"
    assert await house.work(after=THREE_DAYS) == 0


async def test_the_link_in_an_old_mail_still_works_after_its_lead_was_erased(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, mail = await written_to(house, mails, clock)
    await house.hear(lead.erased())
    async with reader(house) as anybody:
        assert (await anybody.post(unsubscribe_path(mail), data=ONE_CLICK)).status_code == 200
    again = Told(clock, email=lead.email)
    await house.hear(again.registered())
    await house.work()
    assert await house.touches(again) == [("welcome", "skipped", "unsubscribed")]
    assert len(mails.messages) == 1


async def test_the_answer_waits_for_a_mail_that_is_being_sent(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    _, mail = await written_to(house, mails, clock)
    await house.fire(after=THREE_DAYS)
    mails.hold = asyncio.Event()
    sending = asyncio.create_task(house.sender.send_due())
    await house.until("SELECT count(*) > 0 FROM nurture.touch WHERE state = 'claimed'")
    async with reader(house) as anybody:
        answering = asyncio.create_task(anybody.post(unsubscribe_path(mail), data=ONE_CLICK))
        await asyncio.sleep(0.3)
        assert not answering.done()
        assert await house.value("SELECT count(*) FROM nurture.suppression") == 1
        mails.hold.set()
        assert (await answering).status_code == 200
    assert await sending
    assert len(mails.messages) == 2


async def test_an_answer_that_cannot_wait_any_longer_does_not_promise_silence(
    house: Nurture, mails: Inbox, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsubscribing, "FLIGHT_SECONDS", 0.2)
    lead, mail = await written_to(house, mails, clock)
    await house.fire(after=THREE_DAYS)
    async with house.runtime.database.connection() as connection:
        await claims.claim(connection, house.runtime.progress.marks, clock.now(), timedelta(minutes=2))
    async with reader(house) as anybody:
        answer = await anybody.post(unsubscribe_path(mail), data=ONE_CLICK)
    assert answer.status_code == 202
    assert "already on its way" in answer.text
    assert await house.words(lead) == ["enrolled", "sent", "unsubscribed", "exited"]


@dataclass
class Race:
    """Mails fall due and their readers unsubscribe, each within some milliseconds, in any order, before two senders.

    `sent` had left before the answer, `late` left after it, `stopped` never left.
    """

    house: Nurture
    mails: Inbox
    at_once: int = 20
    slow: float = 0.02
    chance: Random = field(default_factory=lambda: Random(37))
    answered: dict[str, float] = field(default_factory=dict[str, float])

    async def run(self, readers: int) -> Counter[str]:
        leads = [Told(self.house.clock, email=f"reader{number}@example.com") for number in range(readers)]
        await self.house.hear(*(lead.registered() for lead in leads))
        await self.house.fire()
        await self._fall_due_in_turn(leads)
        # The planner would else go by what it last saw, tables that tests before had left empty.
        await self.house.execute("ANALYZE")
        self.mails.slow = self.slow
        senders = [self.house.sender, mailing(self.house.runtime)]
        async with reader(self.house) as anybody:
            for first in range(0, readers, self.at_once):
                self.house.clock.advance(timedelta(seconds=1))
                self.house.all_heard()
                racing = leads[first : first + self.at_once]
                await asyncio.gather(*(self._unsubscribe(anybody, lead) for lead in racing), *map(self._send, senders))
        await senders[1].close()
        return await self._outcomes(leads)

    async def _fall_due_in_turn(self, leads: list[Told]) -> None:
        due = [self.house.clock.now() + timedelta(seconds=1 + place // self.at_once) for place in range(len(leads))]
        await self.house.execute(
            """UPDATE nurture.touch t SET due_at = d.due_at
               FROM unnest($1::uuid[], $2::timestamptz[]) AS d(lead_id, due_at) WHERE t.lead_id = d.lead_id""",
            [lead.lead_id for lead in leads],
            due,
        )

    async def _unsubscribe(self, anybody: httpx.AsyncClient, lead: Told) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.1))
        answer = await anybody.post(link_to_come(self.house, lead), data=ONE_CLICK)
        assert answer.status_code == 200
        self.answered[lead.email] = time.monotonic()

    async def _send(self, sender: Mailing) -> None:
        while await sender.send_due() or len(self.answered) % self.at_once:
            await asyncio.sleep(self.chance.uniform(0, 0.004))

    async def _outcomes(self, leads: list[Told]) -> Counter[str]:
        arrived = {str(mail["To"]): at for mail, at in zip(self.mails.messages, self.mails.arrivals, strict=True)}
        assert len(arrived) == len(self.mails.messages)
        states = await self.house.states()
        outcomes: Counter[str] = Counter()
        for lead in leads:
            at = arrived.get(lead.email)
            outcomes["stopped" if at is None else "late" if at > self.answered[lead.email] else "sent"] += 1
            assert states[lead.lead_id] == (("skipped", "unsubscribed") if at is None else ("sent", ""))
        return outcomes


def link_to_come(house: Nurture, lead: Told) -> str:
    """The path of the link that the lead's first mail will carry, before it is written."""
    secret = house.runtime.settings.secret
    touch = touch_id_of(lead.lead_id, 1, "welcome", "welcome")
    token = Signer("unsubscribe", secret).sign([touch.hex, fingerprint(lead.email, secret), "marketing"])
    return f"/u/{token}"


async def test_in_a_thousand_races_no_mail_leaves_after_the_answer(
    house: Nurture, mails: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With as many as a sender takes at other times, both would have all in hand before the first reader is heard.
    monkeypatch.setattr("services.nurture.mailing.AT_ONCE", 2)
    outcomes = await Race(house, mails).run(1000)
    assert outcomes["late"] == 0
    assert min(outcomes["sent"], outcomes["stopped"]) > 100, outcomes


async def test_the_race_is_lost_by_an_answer_that_does_not_wait(
    house: Nurture, mails: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_in_flight(*_: object) -> int:
        return 0

    monkeypatch.setattr(claims, "in_flight", nothing_in_flight)
    # The server takes its time, so that mails are on their way when the answer comes however busy the machine is.
    outcomes = await Race(house, mails, slow=0.2).run(200)
    assert outcomes["late"] > 0
