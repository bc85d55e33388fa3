"""Taking a person off all mails of a purpose, so that after the answer none leaves any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.nurture import claims, courses
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Suppression
from services.nurture.journey_files import JOURNEYS
from services.nurture.letters import Unsubscription
from services.nurture.repository import Repository, suppress
from shared.events.envelope import Actor
from shared.events.nurture import Unsubscribed
from shared.leads import Cause, Lead
from shared.trace import traceparent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from shared.service import Runtime

REASON = "unsubscribed"
# How long an answer waits for a mail that is being sent at this moment.
FLIGHT_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.02
# Fewer than there are connections: in a crowd, people wait for their turn instead of being told to come again.
AT_ONCE = 4


async def unsubscribe(runtime: Runtime[Nurtured], asked: Unsubscription) -> int:
    """Suppress the address the link was sent to, and the present one of the lead it was sent for.

    Answers how many mails are still on their way: 0 but where the mail server keeps one waiting for many seconds. With
    0, no mail of this purpose leaves from now on.
    """
    turn: asyncio.Semaphore = runtime.attached.setdefault("unsubscribing", asyncio.Semaphore(AT_ONCE))
    async with turn:
        addresses = await _suppress(runtime, asked)
    until = asyncio.get_running_loop().time() + FLIGHT_SECONDS
    while True:
        async with turn, runtime.database.connection() as connection:
            flying = await claims.in_flight(connection, addresses)
        if not flying or asyncio.get_running_loop().time() > until:
            return flying
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _suppress(runtime: Runtime[Nurtured], asked: Unsubscription) -> Sequence[str]:
    repository = runtime.leads.repository
    assert isinstance(repository, Repository)
    async with runtime.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT lead_id, journey, step FROM nurture.touch WHERE touch_id = $1", asked.touch_id
        )
        lead_ids: list[UUID] = await connection.fetchval(
            "SELECT coalesce(array_agg(lead_id), '{}') FROM nurture.person WHERE fingerprint = $1", asked.fingerprint
        )
    origin = {row["lead_id"]: (row["journey"], row["step"])} if row else {}
    cause = Cause(time=runtime.clock.now(), actor=Actor("lead"), trace=traceparent())
    async with runtime.leads.work([*lead_ids, *origin], cause=cause) as work:
        addresses = {asked.fingerprint}
        suppression = Suppression(work.now, REASON)
        for lead in work.leads.values():
            if not lead.standing.erased:
                addresses.add(repository.blinded(lead.state.person.email))
                _take_off(lead, asked.purpose, suppression, *origin.get(lead.lead_id, ("", "")))
        addresses.discard("")
        await suppress(work.connection, [(address, asked.purpose, suppression) for address in addresses])
    return sorted(addresses)


def _take_off(lead: Lead[Nurtured], purpose: str, suppression: Suppression, journey: str, step: str) -> None:
    """Said once, however often a link is used; a consent given in between makes it news again."""
    news = lead.state.refusal(purpose) != REASON
    lead.state.suppress(purpose, suppression)
    if news:
        lead.say(Unsubscribed(purpose=purpose, journey=journey, step=step, by="link"))
    for enrolment in lead.state.active():
        of = JOURNEYS.get(enrolment.journey)
        if of is None or of.purpose == purpose:
            courses.leave(lead, enrolment, REASON, suppression.since)
    courses.set_timer(lead)
