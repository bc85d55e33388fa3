"""A lead's way through the welcome journey, over days, to a real mail server."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import SetClock
from shared.events.nurture import Enrolled, Exited, Sent
from tests.support.nurturing import TRACE, Nurture, Told
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
