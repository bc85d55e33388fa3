"""What becomes of a mail at a real mail server that takes it, refuses it, breaks off, or is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from services.nurture import claims
from services.nurture.app import mailing
from services.nurture.domain.journey import Delivery
from services.nurture.domain.touch import RETRY_AFTER
from services.nurture.journey_files import JOURNEYS
from shared.errors import Unavailable
from shared.events.nurture import Bounced, Deferred
from shared.mail import Mailer
from tests.support.nurturing import Nurture, Told, client
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox

SECOND = timedelta(seconds=1)
THREE_DAYS = timedelta(days=3)


@pytest.fixture
def at_least_once(monkeypatch: pytest.MonkeyPatch) -> None:
    welcome = JOURNEYS["welcome"]
    mails = tuple(replace(mail, delivery=Delivery.at_least_once) for mail in welcome.mails)
    monkeypatch.setitem(JOURNEYS, "welcome", replace(welcome, mails=mails))


async def registered(house: Nurture, clock: SetClock, **more: Any) -> Told:
    lead = Told(clock, **more)
    await house.hear(lead.registered())
    await house.fire()
    return lead


async def to_look_at(house: Nurture, state: str = "unknown") -> list[dict[str, Any]]:
    async with client(house.runtime) as api:
        return cast("list[dict[str, Any]]", (await api.get(f"/v1/touches?state={state}")).json()["items"])


async def test_a_mail_carries_what_mail_programs_need_to_unsubscribe_its_reader(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    await house.work()
    (mail,) = mails.messages
    link = str(mail["List-Unsubscribe"])
    assert link.startswith("<http://127.0.0.1:8003/u/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["From"] == "Leadline <hello@localhost>"
    assert mail["To"] == lead.email
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        assert link.strip("<>") in str(body.get_content()).replace("&amp;", "&")
    assert lead.email not in link
    assert str(lead.lead_id) not in link
    assert lead.lead_id.hex not in link


async def test_a_greylisted_mail_is_sent_again_later_as_the_same_message(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    mails.to_recipients = ["451 4.7.1 come back later"]
    await house.work()
    assert await house.touches(lead) == [("welcome", "deferred", "smtp_451")]
    assert await house.work(after=RETRY_AFTER[0] - SECOND) == 0
    assert await house.work(after=SECOND) == 1
    assert len(mails.messages) == 1
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")
    assert await house.words(lead) == ["enrolled", "deferred", "sent"]


async def test_a_mail_that_is_put_off_for_ever_is_given_up_and_the_journey_goes_on(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    mails.to_messages = ["452 4.3.1 no room"] * 20
    for wait in (timedelta(0), *RETRY_AFTER):
        assert await house.work(after=wait) == 1
    assert await house.work(after=timedelta(days=1)) == 0
    assert (await house.touches(lead))[0] == ("welcome", "failed", "gave_up")
    said = [one.data for one in await house.said(lead)]
    assert [type(data) for data in said[1:]] == [Deferred] * (len(RETRY_AFTER) + 1)
    assert cast("Deferred", said[1]).until.endswith("Z")
    assert cast("Deferred", said[-1]).until == ""
    mails.to_messages = []
    await house.work(after=THREE_DAYS)
    assert [str(mail["Subject"]) for mail in mails.messages] == ["Three questions before a first talk"]


@pytest.mark.parametrize("where", ["to_recipients", "to_messages"])
async def test_an_address_that_does_not_exist_bounces_and_is_not_written_to_again(
    house: Nurture, mails: Inbox, clock: SetClock, where: str
) -> None:
    lead = await registered(house, clock)
    setattr(mails, where, ["550 5.1.1 no such user"])
    await house.work()
    assert await house.touches(lead) == [("welcome", "failed", "smtp_550")]
    said = [one.data for one in await house.said(lead)]
    assert [type(data).__name__ for data in said] == ["Enrolled", "Bounced", "Exited"]
    assert cast("Bounced", said[1]).permanent
    again = await registered(house, clock)
    await house.work(after=THREE_DAYS)
    assert await house.touches(again) == [("welcome", "skipped", "bounced")]
    assert mails.messages == []


@pytest.mark.parametrize(
    "answer", ["554 5.7.1 your server is on a list", "550 5.7.26 no signature", "552 5.3.4 too big"]
)
async def test_a_refusal_that_is_not_the_address_s_fault_suppresses_nobody(
    house: Nurture, mails: Inbox, clock: SetClock, answer: str
) -> None:
    lead = await registered(house, clock)
    mails.to_messages = [answer]
    await house.work()
    assert (await house.touches(lead))[0] == ("welcome", "failed", f"smtp_{answer[:3]}")
    assert await house.value("SELECT count(*) FROM nurture.suppression") == 0
    await house.work(after=THREE_DAYS)
    assert len(mails.messages) == 1


async def test_a_mail_of_which_nobody_knows_is_listed_and_never_sent_again(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    mails.drop_after_data = 1
    await house.work()
    assert (await house.touches(lead))[0] == ("welcome", "unknown", "no_receipt")
    (listed,) = await to_look_at(house)
    assert listed["lead_id"] == str(lead.lead_id)
    assert f"<{listed['message_id']}>" == mails.messages[0]["Message-ID"]
    await house.work(after=timedelta(days=1))
    assert len(mails.messages) == 1
    assert await house.words(lead) == ["enrolled"]
    await house.work(after=THREE_DAYS)
    assert len(mails.messages) == 2


@pytest.mark.usefixtures("at_least_once")
async def test_a_step_may_ask_for_a_mail_too_many_rather_than_one_too_few(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    mails.drop_after_data = 1
    await house.work()
    await house.work(after=RETRY_AFTER[0])
    first, again = mails.messages
    assert first["Message-ID"] == again["Message-ID"]
    assert first["List-Unsubscribe"] == again["List-Unsubscribe"]
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")
    assert await to_look_at(house) == []


async def test_a_mail_whose_sender_was_killed_is_unknown_once_its_claim_is_over(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    async with house.runtime.database.connection() as connection:
        (taken,) = await claims.claim(connection, house.runtime.progress.marks, clock.now(), timedelta(seconds=0.3))
    assert taken.lead_id == lead.lead_id
    await house.sender.tidy()
    assert await house.touches(lead) == [("welcome", "claimed", "")]
    await asyncio.sleep(0.4)
    await house.work()
    assert (await house.touches(lead))[0] == ("welcome", "unknown", "sender_lost")
    assert mails.messages == []
    assert len(await to_look_at(house)) == 1


@pytest.mark.usefixtures("at_least_once")
async def test_a_killed_sender_s_mail_is_sent_by_another_where_its_step_says_so(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    async with house.runtime.database.connection() as connection:
        (taken,) = await claims.claim(connection, house.runtime.progress.marks, clock.now(), timedelta(0))
    await house.sender.tidy()
    await house.work(after=RETRY_AFTER[0])
    (mail,) = mails.messages
    assert mail["Message-ID"] == f"<{taken.message_id}>"
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")


@pytest.mark.usefixtures("at_least_once")
async def test_a_late_word_of_a_sender_that_was_given_up_changes_nothing(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    mails.hold, frozen = asyncio.Event(), mailing(house.runtime)
    frozen._lease = timedelta(0)
    first = asyncio.create_task(frozen.send_due())
    await house.until("SELECT count(*) > 0 FROM nurture.touch WHERE state = 'claimed'")
    await house.sender.tidy()
    assert await house.touches(lead) == [("welcome", "deferred", "sender_lost")]
    await house.fire(after=RETRY_AFTER[0])
    async with house.runtime.database.connection() as connection:
        (second,) = await claims.claim(connection, house.runtime.progress.marks, clock.now(), timedelta(minutes=2))
    mails.hold.set()
    assert await first
    await frozen.close()
    assert await house.touches(lead) == [("welcome", "claimed", "")]
    await house.sender._deliver([second])
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")
    assert await house.words(lead) == ["enrolled", "deferred", "sent"]
    assert len({mail["Message-ID"] for mail in mails.messages}) == 1


async def test_two_senders_at_once_send_each_mail_once(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    leads = [await registered(house, clock, email=f"lead{number}@example.com") for number in range(40)]
    other = mailing(house.runtime)

    async def send_all(sender: Any) -> int:
        sent = 0
        while more := await sender.send_due():
            sent += more
        return sent

    shares = await asyncio.gather(send_all(house.sender), send_all(other))
    await other.close()
    assert sum(shares) == 40
    assert min(shares) > 0
    assert sorted(str(mail["To"]) for mail in mails.messages) == sorted(lead.email for lead in leads)


async def test_a_claim_takes_no_more_than_it_is_asked_for_however_the_server_plans_it(
    house: Nurture, clock: SetClock
) -> None:
    for number in range(5):
        await registered(house, clock, email=f"lead{number}@example.com")
    marks = dict(house.runtime.progress.marks)
    async with house.runtime.database.transaction() as connection:
        # Figures as after an analysis of the empty table: the choice of rows may then be made anew for each touch.
        await connection.execute(
            "UPDATE pg_class SET reltuples = 0, relpages = 100000 WHERE oid = 'nurture.touch'::regclass"
        )
        for join in ("hashjoin", "mergejoin", "material", "memoize"):
            await connection.execute(f"SET LOCAL enable_{join} = off")
        claimed = await claims.claim(connection, marks, clock.now(), timedelta(minutes=2), limit=2)
    assert len(claimed) == 2


async def test_while_the_server_is_away_one_mail_is_tried_now_and_then_and_all_leave_when_it_is_back(
    house: Nurture, mails: Inbox, clock: SetClock, tmp_path: Path, unused_tcp_port: int
) -> None:
    leads = [await registered(house, clock)]
    there, house.sender._mailer = house.sender._mailer, Mailer(f"smtp://127.0.0.1:{unused_tcp_port}", tmp_path)
    assert await house.sender.send_due() == 1
    rests = [house.sender._rest]
    leads += [await registered(house, clock, email=f"lead{number}@example.com") for number in range(2)]
    for _ in range(2):
        assert await house.sender.send_due() == 1
        rests.append(house.sender._rest)
    assert rests == [1.0, 2.0, 4.0]
    assert await house.touches(leads[0]) == [("welcome", "deferred", "mail_server_away")]
    house.sender._mailer = there
    assert await house.work(after=RETRY_AFTER[0]) == 3
    assert house.sender._rest == 0.0
    assert len(mails.messages) == 3
    assert await house.words(leads[0]) == ["enrolled", "deferred", "sent"]


async def test_a_database_that_is_away_for_a_moment_costs_no_knowledge_of_a_mail(
    house: Nurture, mails: Inbox, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = await registered(house, clock)
    work, outages = house.runtime.leads.work, iter([True, True])

    @contextmanager
    def outage() -> Iterator[None]:
        raise Unavailable
        yield

    def sometimes(*given: Any, **more: Any) -> Any:
        if next(outages, False):
            outage().__enter__()
        return work(*given, **more)

    monkeypatch.setattr(house.runtime.leads, "work", sometimes)
    await house.work()
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")
    assert len(mails.messages) == 1


async def test_a_test_lead_runs_through_and_is_never_written_to(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    lead = await registered(house, clock, test=True)
    await house.work()
    await house.work(after=THREE_DAYS)
    assert await house.touches(lead) == [("welcome", "skipped", "test"), ("second", "skipped", "test")]
    assert mails.connections == 0
    assert (await house.words(lead))[-1] == "exited"


async def test_an_address_that_cannot_stand_in_a_header_fails_alone(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    bad = await registered(house, clock, email="a@example.com\r\nBcc: all@example.com")
    two = await registered(house, clock, email="a@example.com, b@example.com")
    good = await registered(house, clock, email="good@example.com", name="Mara\r\nBcc: all@example.com")
    await house.work()
    assert (await house.touches(bad))[0] == ("welcome", "failed", "bad_address")
    assert (await house.touches(two))[0] == ("welcome", "failed", "bad_address")
    assert (await house.touches(good))[0] == ("welcome", "sent", "")
    assert mails.envelopes == [("hello@localhost", ["good@example.com"])]
    assert mails.messages[0]["Bcc"] is None


async def test_a_lead_of_which_something_is_still_unheard_is_not_written_to(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await registered(house, clock)
    house.runtime.progress.marks.clear()
    assert await house.sender.send_due() == 0
    house.runtime.progress.all_heard(clock.now())
    assert await house.sender.send_due() == 0
    gap = lead.moved("iql")
    await house.hear(lead.moved("sql"))
    house.all_heard()
    assert await house.sender.send_due() == 0
    await house.hear(gap)
    assert await house.work() == 0
    assert await house.touches(lead) == [("welcome", "skipped", "sql")]
    assert mails.messages == []


async def test_everything_told_twice_is_done_once(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    lead = Told(clock)
    events = lead.registered()
    await house.hear(events, events)
    await house.work()
    await house.hear(events)
    await house.work()
    assert len(mails.messages) == 1
    assert await house.words(lead) == ["enrolled", "sent"]
