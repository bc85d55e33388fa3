"""What nurture does beside hearing again, when its tables are older than what it has said: what it told of is done.

First it hears what the others said, and lets whoever may enter a journey stand before it; nobody leaves one. Then it
hears itself, in order: who had entered, which mails left, who wants none any more, who has left. At the end those leave
whom it had not told of; what still stands before a journey, or waits for a mail, goes on when the service runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.nurture import courses
from services.nurture.domain.journey import Enrolment, Journey
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Suppression
from services.nurture.domain.touch import State, Touch, touch_id_of
from services.nurture.journey_files import JOURNEYS
from services.nurture.unsubscribing import REASON
from shared.consumer import Handler
from shared.events import nurture as said
from shared.events.envelope import Envelope, Event
from shared.leads import Lead

if TYPE_CHECKING:
    from shared.database import Connection

_Told = said.Sent | said.Deferred | said.Bounced
TEST = "test"


def standing_still(handlers: Mapping[type[Event], Handler[Any]]) -> dict[type[Event], Handler[Any]]:
    """The same handlers, with which nobody comes further than before a journey, and nobody leaves one."""

    def still(handler: Handler[Any]) -> Handler[Any]:
        def handle(lead: Lead[Nurtured], event: Envelope[Any], now: datetime) -> None:
            state = lead.state
            known, state.examined = state.enrolments, False
            state.enrolments = {key: replace(one, ended_at=one.ended_at or now) for key, one in known.items()}
            handler(lead, event, now)
            state.enrolments |= known
            courses.set_timer(lead)

        return handle

    return {event: still(handler) for event, handler in handlers.items()}


def enrolled(lead: Lead[Nurtured], event: Envelope[said.Enrolled], now: datetime) -> None:
    told, journey = event.data, JOURNEYS.get(event.data.journey)
    if journey is None:
        return
    first, trace = journey.mails[0], event.attributes.traceparent
    begun = Enrolment(journey.name, told.journey_version, told.cycle, first.name, trace, entered_at=event.time)
    courses.come_to(lead, journey, begun, first, event.time)
    courses.set_timer(lead)


def sent(lead: Lead[Nurtured], event: Envelope[said.Sent], now: datetime) -> None:
    _settle(lead, event, lambda touch: replace(touch, state=State.sent, reason="", at=event.time))


def deferred(lead: Lead[Nurtured], event: Envelope[said.Deferred], now: datetime) -> None:
    told = event.data
    if told.until:
        until = datetime.fromisoformat(told.until)
        _settle(lead, event, lambda touch: replace(touch, state=State.deferred, reason=told.reason, due_at=until))
    else:
        state = State.skipped if told.reason == TEST else State.failed
        _settle(lead, event, lambda touch: replace(touch, state=state, reason=told.reason, at=event.time))


def bounced(lead: Lead[Nurtured], event: Envelope[said.Bounced], now: datetime) -> None:
    told, journey = event.data, JOURNEYS.get(event.data.journey)
    _settle(lead, event, lambda touch: replace(touch, state=State.failed, reason=told.reason, at=event.time), last=True)
    if journey is not None:
        _suppress(lead, journey.purpose, Suppression(event.time, "bounced"))


def unsubscribed(lead: Lead[Nurtured], event: Envelope[said.Unsubscribed], now: datetime) -> None:
    _suppress(lead, event.data.purpose, Suppression(event.time, REASON))


def exited(lead: Lead[Nurtured], event: Envelope[said.Exited], now: datetime) -> None:
    told = event.data
    enrolment = lead.state.enrolments.get((told.cycle, told.journey))
    if enrolment is None:
        return
    if enrolment.active:
        courses.leave(lead, enrolment, told.reason, event.time)
    else:
        lead.state.keep(replace(enrolment, ended_at=event.time, ended_because=told.reason))
    courses.set_timer(lead)


OWN: Mapping[type[Event], Handler[Nurtured]] = {
    said.Enrolled: enrolled,
    said.Sent: sent,
    said.Deferred: deferred,
    said.Bounced: bounced,
    said.Unsubscribed: unsubscribed,
    said.Exited: exited,
}


def _settle(
    lead: Lead[Nurtured], event: Envelope[Any], become: Callable[[Touch], Touch], *, last: bool = False
) -> None:
    """What came of a mail; where it is done with, and not the `last`, its lead goes on if it is still at its step."""
    told: _Told = event.data
    if (way := _way(lead, told)) is None:
        return
    journey, enrolment = way
    step = journey.mail(told.step)
    if step is None:
        return
    planned = courses.touch_of_step(lead, enrolment, journey, step, event.time)
    settled = lead.state.put(become(lead.state.touches.get(planned.key, planned)))
    if enrolment.active and enrolment.step == told.step:
        at_step = lead.state.keep(replace(enrolment, waits_until=None))
        if settled.state is not State.deferred and not last:
            courses.go_on(lead, at_step, event.time)
    courses.set_timer(lead)


def _way(lead: Lead[Nurtured], told: _Told) -> tuple[Journey, Enrolment] | None:
    """A touch's id says in which cycle it was."""
    journey = JOURNEYS.get(told.journey)
    for enrolment in lead.state.enrolments.values():
        touch_id = touch_id_of(lead.lead_id, enrolment.cycle, told.journey, told.step)
        if journey and enrolment.journey == told.journey and touch_id == UUID(told.touch_id):
            return journey, enrolment
    return None


def _suppress(lead: Lead[Nurtured], purpose: str, suppression: Suppression) -> None:
    known = lead.state.suppressions.get(purpose)
    if known is None or known.since <= suppression.since:
        lead.state.suppress(purpose, suppression)


def settle(lead: Lead[Nurtured], now: datetime) -> None:
    """A lead of which everything was heard leaves if its stage or permission wants it, and that is said."""
    courses.leave_refused(lead, now)
    stage = lead.standing.stage
    for enrolment in lead.state.active():
        journey = JOURNEYS.get(enrolment.journey)
        if stage is not None and (journey is None or stage in journey.exits):
            courses.leave(lead, enrolment, stage, now)
    courses.set_timer(lead)


async def finish(connection: Connection, lead_ids: Sequence[UUID]) -> int:
    """Answers how many mails have left to all of these."""
    sent: int = await connection.fetchval(
        "SELECT count(*) FROM nurture.touch WHERE lead_id = ANY($1) AND state = 'sent'", lead_ids
    )
    return sent
