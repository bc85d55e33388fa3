"""A sender that is killed with a mail in its hands: nobody gets it twice, and nobody pretends to know."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.support.forked import Forked, fork
from tests.support.nurturing import KEY, Nurture, Told
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox

IN_HAND = "SELECT count(*) > 0 FROM nurture.touch WHERE state = 'claimed'"


@asynccontextmanager
async def sending(house: Nurture, mails: Inbox) -> AsyncGenerator[Forked]:
    """A nurture of its own that hears and sends, in a process that is gone when the block ends."""
    environment = {
        **os.environ,
        "DATABASE_URL": house.runtime.settings.database_url,
        "SMTP_URL": mails.url,
        "LEADLINE_API_KEY": KEY,
        "LEADLINE_DATA_DIR": str(house.runtime.settings.data_dir),
        "NURTURE_PORT": "0",
    }
    with open(os.devnull, "wb") as nowhere:
        process = fork("services.nurture", "consume", env=environment, output=nowhere, errors=2)
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def begin(house: Nurture, clock: SetClock) -> Told:
    lead = Told(clock)
    await house.hear(lead.registered())
    await house.fire()
    return lead


async def claims_lapse(house: Nurture) -> None:
    """The time goes by in which a claim holds."""
    await house.execute("UPDATE nurture.touch SET claimed_until = now() - interval '1 second' WHERE state = 'claimed'")


@pytest.mark.parametrize("moment", ["before the message", "before its receipt", "before it is written down"])
async def test_a_mail_that_a_killed_sender_had_in_hand_is_never_sent_again_by_itself(
    house: Nurture, mails: Inbox, clock: SetClock, moment: str
) -> None:
    lead = await begin(house, clock)
    hold = asyncio.Event()
    if moment == "before the message":
        mails.hold_recipients = hold
    elif moment == "before its receipt":
        mails.hold = hold
    async with house.runtime.database.transaction() as blocking:
        if moment == "before it is written down":
            await blocking.execute("SELECT FROM nurture.standing FOR UPDATE")
        async with sending(house, mails) as sender:
            await house.until(IN_HAND)
            await _reached(mails, moment)
            sender.send_signal(signal.SIGKILL)
        hold.set()
    await asyncio.sleep(0.1)
    left = len(mails.messages)
    assert left == (1 if moment == "before it is written down" else 0)
    assert await house.touches(lead) == [("welcome", "claimed", "")]
    await claims_lapse(house)
    await house.work()
    assert (await house.touches(lead))[0] == ("welcome", "unknown", "sender_lost")
    assert len(mails.messages) == left


async def _reached(mails: Inbox, moment: str) -> None:
    async with asyncio.timeout(20):
        while not {
            "before the message": mails.connections,
            "before its receipt": mails.waiting,
            "before it is written down": mails.messages,
        }[moment]:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_a_sender_that_is_told_to_stop_first_finishes_the_mail_in_its_hands(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = await begin(house, clock)
    mails.hold = asyncio.Event()
    async with sending(house, mails) as sender:
        await house.until(IN_HAND)
        await _reached(mails, "before its receipt")
        sender.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert sender.poll() is None
        mails.hold.set()
        await asyncio.to_thread(sender.wait, 15)
    assert (await house.touches(lead))[0] == ("welcome", "sent", "")
    assert len(mails.messages) == 1
