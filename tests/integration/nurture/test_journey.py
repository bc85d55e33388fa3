"""A lead's way through the welcome journey, over days, to a real mail server."""

from __future__ import annotations

from datetime import timedelta

from shared.bus.progress import MARGIN
from shared.events.nurture import Enrolled, Exited, Sent
from tests.support.nurturing import TRACE, Nurture, Told
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox

DAYS = timedelta(days=1)


async def test_a_registered_lead_that_agreed_is_welcomed_at_once_and_written_to_once_more(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    mara = Told(clock)
    await house.hear(mara.registered())
    assert await house.work() == 1
    assert await house.touches(mara) == [("welcome", "sent", ""), ("second", "planned", "waiting")]
    assert await house.work(after=3 * DAYS - timedelta(seconds=1)) == 0
    assert await house.work(after=timedelta(seconds=1)) == 1
    assert await house.work(after=30 * DAYS) == 0
    assert [mail["Subject"] for mail in mails.messages] == [
        "Thank you for your interest, Mara Lindqvist",
        "Three questions before a first talk",
    ]
    assert mails.connections == 1
    assert await house.touches(mara) == [("welcome", "sent", ""), ("second", "sent", "")]
    said = await house.said(mara)
    assert [type(one.data) for one in said] == [Enrolled, Sent, Sent, Exited]
    assert isinstance(said[-1].data, Exited)
    assert said[-1].data.reason == "completed"
    assert [one.seq for one in said] == [1, 2, 3, 4]
    assert said[1].attributes.traceparent == TRACE


async def test_who_did_not_agree_is_not_written_to_until_they_do(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    mara = Told(clock)
    await house.hear(mara.registered(consent=None))
    assert await house.work() == 0
    assert await house.touches(mara) == [("welcome", "skipped", "no_consent")]
    clock.advance(DAYS)
    await house.hear(mara.card(consent=True))
    assert await house.work() == 1
    assert await house.touches(mara) == [("welcome", "sent", ""), ("second", "planned", "waiting")]


async def test_sales_takes_over_and_the_journey_ends(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    mara = Told(clock)
    await house.hear(mara.registered())
    await house.work()
    clock.advance(DAYS)
    await house.hear(mara.moved("mql"), mara.moved("sql"))
    assert await house.work(after=30 * DAYS) == 0
    assert await house.touches(mara) == [("welcome", "sent", ""), ("second", "skipped", "sql")]
    assert len(mails.messages) == 1


async def test_the_next_cycle_of_a_customer_is_a_journey_of_its_own(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    mara = Told(clock)
    await house.hear(mara.registered())
    await house.work()
    await house.hear(mara.moved("sql"), mara.moved("customer"))
    mara.cycle = 2
    await house.hear(mara.moved("registered", "new_cycle"))
    await house.work(after=90 * DAYS)
    assert await house.touches(mara) == [
        ("welcome", "sent", ""),
        ("second", "skipped", "sql"),
        ("welcome", "sent", ""),
        ("second", "planned", "waiting"),
    ]
    assert len({mail["Message-ID"] for mail in mails.messages}) == 2


async def test_history_is_written_to_only_when_the_import_says_so(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    leads = [Told(clock, email=f"lead{number}@example.com") for number in range(2)]
    await house.hear(*(lead.registered(history=True) for lead in leads))
    await house.hear(leads[0].did("import_ended", judge=True, history=True), leads[1].did("import_ended", judge=True))
    await house.work(after=DAYS)
    assert await house.touches(leads[0]) == []
    assert (await house.touches(leads[1]))[0] == ("welcome", "sent", "")
    assert [str(mail["To"]) for mail in mails.messages] == ["lead1@example.com"]


async def test_who_asks_for_a_demo_gets_a_call_and_no_welcome(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    mara = Told(clock)
    await house.hear(
        mara.card(),
        mara.moved("captured"),
        mara.moved("registered", "contact_valid", asked_for="demo_requested"),
        mara.moved("sql", "demo_requested"),
    )
    assert await house.work(after=DAYS) == 0
    assert await house.touches(mara) == []
    assert await house.words(mara) == []


async def test_the_service_itself_hears_sends_and_stops(house: Nurture, mails: Inbox, clock: SetClock) -> None:
    mara = Told(clock)
    await house.hear(mara.registered())
    clock.advance(MARGIN)
    async with house.runtime.running(("consume",)):
        await house.until("SELECT count(*) = 1 FROM nurture.touch WHERE state = 'sent'")
    assert len(mails.messages) == 1
