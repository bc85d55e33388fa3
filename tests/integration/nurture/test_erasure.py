"""Erasing a lead removes all that is held of it but the suppression of its address."""

from __future__ import annotations

from datetime import timedelta

from services.nurture import claims
from shared.events.privacy import ErasureDone
from tests.support.nurturing import Nurture, Told, client, unsubscribe_path
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox

TABLES = ("person", "enrolment", "touch", "timer", "held")


async def rows_of(house: Nurture, lead: Told) -> dict[str, int]:
    return {
        table: await house.value(f"SELECT count(*) FROM nurture.{table} WHERE lead_id = $1", lead.lead_id)
        for table in TABLES
    }


async def test_all_that_is_held_is_removed_and_the_report_says_what(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead, other = Told(clock), Told(clock, email="other@example.com")
    await house.hear(lead.registered(), other.registered())
    await house.work()
    kept = await rows_of(house, other)
    await house.hear(lead.erased("e-1"))
    assert await rows_of(house, lead) == dict.fromkeys(TABLES, 0)
    assert await rows_of(house, other) == kept
    done = (await house.said(lead))[-1].data
    assert done == ErasureDone(
        erasure_id="e-1", service="nurture", removed={"person": 1, "enrolment": 1, "touch": 1, "kept_mail": 0}
    )
    assert await house.work(after=timedelta(days=3)) == 1
    assert str(mails.messages[-1]["To"]) == other.email


async def test_after_an_erasure_a_re_import_is_still_suppressed_and_only_a_new_consent_lifts_it(
    house: Nurture, mails: Inbox, clock: SetClock
) -> None:
    lead = Told(clock)
    agreed = clock.now()
    await house.hear(lead.registered())
    await house.work()
    clock.advance(timedelta(days=1))
    async with client(house.runtime, headers={}) as anybody:
        assert (await anybody.post(unsubscribe_path(mails.messages[0]))).status_code == 200
    await house.hear(lead.erased())
    clock.advance(timedelta(days=30))
    again = Told(clock, email=lead.email)
    await house.hear(again.card(at=agreed), again.moved("captured"), again.moved("registered"))
    assert await house.work() == 0
    assert await house.touches(again) == [("welcome", "skipped", "unsubscribed")]
    assert await house.words(again) == []
    await house.hear(again.card(at=clock.now()))
    assert await house.work() == 1


async def test_an_erasure_while_a_mail_is_being_sent_leaves_nothing_behind(home: Nurture, clock: SetClock) -> None:
    lead = Told(clock)
    await home.hear(lead.registered())
    await home.fire()
    async with home.runtime.database.connection() as connection:
        (taken,) = await claims.claim(connection, home.runtime.progress.marks, clock.now(), timedelta(minutes=2))
    await home.hear(lead.erased())
    await home.sender._deliver([taken])
    assert await rows_of(home, lead) == dict.fromkeys(TABLES, 0)
    assert list(home.runtime.settings.data_dir.rglob("*.eml")) == []
    assert await home.words(lead) == ["enrolled", "erasure_done"]


async def test_mails_that_were_kept_as_files_are_removed_with_their_lead(home: Nurture, clock: SetClock) -> None:
    lead, other = Told(clock), Told(clock, email="other@example.com")
    await home.hear(lead.registered(), other.registered())
    assert await home.work() == 2
    folder = home.runtime.settings.data_dir / "mail"
    assert len(list(folder.iterdir())) == 2
    await home.hear(lead.erased())
    (left,) = folder.iterdir()
    assert other.email in left.read_text()
    done = (await home.said(lead))[-1].data
    assert isinstance(done, ErasureDone)
    assert done.removed["kept_mail"] == 1
