"""A mail is claimed by the one statement that checks whether it may be sent, against all that may change beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from services.nurture import claims
from services.nurture.claims import Claim
from services.nurture.domain.person import Consent, Person, Suppression
from services.nurture.domain.touch import OPEN, State
from services.nurture.repository import Repository, suppress
from shared.database import Connection
from tests.support.nurturing import Nurture, Told
from tests.support.set_clock import SetClock

LEASE = timedelta(minutes=2)
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


async def due(house: Nurture, clock: SetClock) -> Told:
    lead = Told(clock)
    await house.hear(lead.registered())
    await house.fire()
    return lead


async def claim(house: Nurture, connection: Connection | None = None) -> list[Claim]:
    marks, now = house.runtime.progress.marks, house.clock.now()
    if connection is not None:
        return await claims.claim(connection, marks, now, LEASE)
    async with house.runtime.database.connection() as own:
        return await claims.claim(own, marks, now, LEASE)


def blinded(house: Nurture, email: str) -> str:
    repository = house.runtime.leads.repository
    assert isinstance(repository, Repository)
    return repository.blinded(email)


@asynccontextmanager
async def unfinished(house: Nurture) -> AsyncGenerator[Connection]:
    """A transaction of somebody else's that commits when the block ends."""
    async with house.runtime.database.transaction() as connection:
        yield connection


async def test_a_due_mail_is_claimed_once_with_all_it_takes_to_write_it(house: Nurture, clock: SetClock) -> None:
    lead = await due(house, clock)
    (taken,) = await claim(house)
    assert (taken.email, taken.name, taken.test) == (lead.email, lead.name, False)
    assert taken.fingerprint == blinded(house, lead.email)
    assert (taken.touch.step, taken.touch.attempts) == ("welcome", 1)
    assert await claim(house) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("INSERT INTO nurture.suppression SELECT fingerprint, 'marketing', now() + interval '99 years', 'unsubscribed'"
         " FROM nurture.person", "unsubscribed"),
        ("""UPDATE nurture.person SET consents = '{"marketing": {"granted": false, "at": "2026-03-03T10:00:00Z"}}'""",
         "no_consent"),
        ("UPDATE nurture.person SET consents = '{}'", "no_consent"),
        ("UPDATE nurture.person SET email = '', fingerprint = ''", "no_address"),
    ],
)  # fmt: skip
async def test_what_may_not_be_sent_is_not_claimed_and_given_up_with_its_reason(
    house: Nurture, clock: SetClock, change: str, reason: str
) -> None:
    lead = await due(house, clock)
    await house.execute(change)
    assert await claim(house) == []
    await house.sender.tidy()
    assert await house.touches(lead) == [("welcome", "skipped", reason)]
    assert (await house.words(lead))[-1] == "exited"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE nurture.standing SET erased = true",
        "UPDATE nurture.standing SET held = true",
        "UPDATE nurture.enrolment SET ended_at = now(), ended_because = 'sql'",
        "UPDATE nurture.touch SET due_at = due_at + interval '1 microsecond'",
        "UPDATE nurture.touch SET lane = 64",
        *(f"UPDATE nurture.touch SET state = '{state}'" for state in sorted(set(State) - OPEN)),
    ],
)  # fmt: skip
async def test_nothing_else_is_claimed_than_an_open_touch_of_a_lead_in_its_journey(
    house: Nurture, clock: SetClock, change: str
) -> None:
    await due(house, clock)
    await house.execute(change)
    assert await claim(house) == []


async def test_a_suppression_stops_a_mail_by_address_alone(house: Nurture, clock: SetClock) -> None:
    lead = await due(house, clock)
    later = Suppression(clock.now(), "unsubscribed")
    async with house.runtime.database.connection() as connection:
        await suppress(connection, [(blinded(house, "somebody.else@example.com"), "marketing", later)])
        await suppress(connection, [(blinded(house, lead.email), "surveys", later)])
        assert len(await claim(house)) == 1


async def test_what_is_being_claimed_at_this_moment_is_in_flight(house: Nurture, clock: SetClock) -> None:
    lead = await due(house, clock)
    address = blinded(house, lead.email)
    async with unfinished(house) as other:
        assert len(await claim(house, other)) == 1
        async with house.runtime.database.connection() as connection:
            await suppress(connection, [(address, "marketing", Suppression(clock.now(), "unsubscribed"))])
            looking = asyncio.create_task(claims.in_flight(connection, [address]))
            await asyncio.sleep(0.2)
            assert not looking.done()
            await other.execute("COMMIT")
            assert await looking == 1
            await other.execute("BEGIN")


async def test_what_another_sender_is_claiming_at_this_moment_is_not_claimed_twice(
    house: Nurture, clock: SetClock
) -> None:
    await due(house, clock)
    async with unfinished(house) as other:
        assert len(await claim(house, other)) == 1
        mine = asyncio.create_task(claim(house))
        await asyncio.sleep(0.2)
    assert await mine == []


async def test_a_mail_whose_lead_is_being_decided_on_is_passed_over(house: Nurture, clock: SetClock) -> None:
    lead = await due(house, clock)
    async with house.runtime.leads.work([lead.lead_id]):
        assert await claim(house) == []
    assert len(await claim(house)) == 1


async def test_an_address_that_changes_at_this_moment_is_not_written_to(house: Nurture, clock: SetClock) -> None:
    lead = await due(house, clock)
    async with unfinished(house) as other:
        await other.execute("UPDATE nurture.person SET email = 'new@example.com', fingerprint = 'new'")
        assert await claim(house) == []
    (taken,) = await claim(house)
    assert (taken.lead_id, taken.email, taken.fingerprint) == (lead.lead_id, "new@example.com", "new")


async def test_the_statement_and_the_rule_agree_on_who_may_be_written_to(house: Nurture) -> None:
    days = [NOON + timedelta(days=day) for day in range(3)]
    consents = [None, *(Consent(granted, at) for granted in (True, False) for at in days)]
    suppressions = [None, *(Suppression(at, "unsubscribed") for at in days)]
    permitted = 0
    async with house.runtime.database.connection() as connection:
        for email, consent, suppression in product(("mara@norrvik.example", ""), consents, suppressions):
            person = Person(email=email, consents={"marketing": consent} if consent else {})
            rule = not person.refusal("marketing", suppression)
            assert await _statement_permits(connection, person, suppression) is rule, (email, consent, suppression)
            permitted += rule
    assert permitted == 6


async def _statement_permits(connection: Connection, person: Person, suppression: Suppression | None) -> bool:
    await connection.execute("DELETE FROM nurture.suppression")
    if suppression is not None:
        await suppress(connection, [("mara", "marketing", suppression)])
    permits: bool = await connection.fetchval(
        f"""SELECT {claims.MAY_BE_WRITTEN_TO} FROM (SELECT $1::text AS fingerprint, $2::jsonb AS consents) p,
            (SELECT 'marketing' AS purpose) t""",
        "mara" if person.email else "",
        {purpose: {"granted": one.granted, "at": one.at} for purpose, one in person.consents.items()},
    )
    return permits
