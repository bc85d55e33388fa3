"""How a lead enters a journey, goes on in it and leaves it, and what is said of that."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.nurture.domain.journey import Enrolment, Journey, MailStep
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Suppression
from services.nurture.domain.touch import OPEN, Fate, State, Touch, touch_id_of
from services.nurture.journey_files import JOURNEYS
from shared.events.nurture import Bounced, Deferred, Enrolled, Exited, Sent
from shared.leads import Lead

NEXT_STEP = "next_step"
"""One timer of a lead: the next moment at which any journey of it goes on."""


def enter(lead: Lead[Nurtured], journey: Journey, now: datetime) -> None:
    """Enrol the lead, once per cycle; where it may not be written to, note for which touch and why.

    An address that came with this very event has yet to be looked up among the suppressions: then it enters a moment
    later.
    """
    if (lead.standing.cycle, journey.name) in lead.state.enrolments:
        return
    first = journey.mails[0]
    enrolment = Enrolment(journey.name, journey.version, lead.standing.cycle, first.name, lead.cause.trace)
    if lead.state.examined or lead.state.refusal(journey.purpose):
        _begin(lead, journey, enrolment, now)
    else:
        lead.state.keep(replace(enrolment, waits_until=now))


def take_step(lead: Lead[Nurtured], enrolment: Enrolment, due: datetime, now: datetime) -> None:
    """The wait, which was `due` to end, is over: go on, if the person may still be written to."""
    journey = JOURNEYS.get(enrolment.journey)
    step = journey and journey.mail(enrolment.step)
    if journey is None or step is None:
        leave(lead, enrolment, "journey_changed", now)
    elif enrolment.entered_at is None:
        # As of when it was due: what was recorded until then has been heard, so nothing need be waited for again.
        _begin(lead, journey, enrolment, due)
    elif refusal := lead.state.refusal(journey.purpose):
        leave(lead, enrolment, refusal, now)
    else:
        lead.state.keep(replace(enrolment, waits_until=None))
        lead.state.put(touch_of_step(lead, enrolment, journey, step, now))


def go_on(lead: Lead[Nurtured], enrolment: Enrolment, now: datetime) -> None:
    """The step the lead was at is done."""
    journey = JOURNEYS.get(enrolment.journey)
    if journey is None or journey.mail(enrolment.step) is None:
        leave(lead, enrolment, "journey_changed", now)
        return
    following = journey.following(enrolment.step)
    if following is None:
        leave(lead, enrolment, "completed", now)
    else:
        come_to(lead, journey, enrolment, following, now)


def leave(lead: Lead[Nurtured], enrolment: Enrolment, reason: str, now: datetime) -> None:
    """End the enrolment; what it had planned, or waited for, is skipped for the same reason."""
    state, journey = lead.state, JOURNEYS.get(enrolment.journey)
    if enrolment.entered_at is None:
        state.drop(enrolment)
        return
    for touch in state.open_touches(enrolment):
        state.put(touch.skipped(reason, now))
    step = journey and journey.mail(enrolment.step)
    if journey and step and enrolment.waits_until is not None:
        state.put(touch_of_step(lead, enrolment, journey, step, now).skipped(reason, now))
    state.keep(replace(enrolment, waits_until=None, ended_at=now, ended_because=reason))
    lead.say(Exited(journey=enrolment.journey, reason=reason, cycle=enrolment.cycle))


def leave_refused(lead: Lead[Nurtured], now: datetime) -> None:
    """Leave every journey whose purpose the person may no longer be written to for."""
    for enrolment in lead.state.active():
        journey = JOURNEYS.get(enrolment.journey)
        refusal = lead.state.refusal(journey.purpose) if journey else "journey_changed"
        if refusal:
            leave(lead, enrolment, refusal, now)


def settle(lead: Lead[Nurtured], touch: Touch, fate: Fate, reason: str, now: datetime) -> None:
    """Write down what came of a claimed touch, say it, and go on or leave."""
    settled = lead.state.put(touch.settled(fate, reason, now))
    enrolment = lead.state.enrolments.get(touch.key[:2])
    if settled.state is State.deferred and (enrolment is None or not enrolment.active):
        # It left while the mail was on its way: there is no second try.
        settled = lead.state.put(settled.skipped(enrolment.ended_because if enrolment else "erased", now))
    _say_settled(lead, settled, fate)
    if fate is Fate.bounced:
        lead.state.suppress(touch.purpose, Suppression(now, "bounced"))
        leave_refused(lead, now)
    elif enrolment is not None and enrolment.active and settled.state not in OPEN:
        go_on(lead, enrolment, now)
    set_timer(lead)


def set_timer(lead: Lead[Nurtured]) -> None:
    waits = [enrolment.waits_until for enrolment in lead.state.active() if enrolment.waits_until is not None]
    if waits:
        lead.timers[NEXT_STEP] = min(waits)
    else:
        lead.timers.pop(NEXT_STEP, None)


def _begin(lead: Lead[Nurtured], journey: Journey, enrolment: Enrolment, now: datetime) -> None:
    first = journey.mails[0]
    if refusal := lead.state.refusal(journey.purpose):
        if (enrolment.cycle, enrolment.journey) in lead.state.enrolments:
            lead.state.drop(enrolment)
        lead.state.put(touch_of_step(lead, enrolment, journey, first, now).skipped(refusal, now))
        return
    lead.say(Enrolled(journey=journey.name, journey_version=journey.version, cycle=enrolment.cycle))
    come_to(lead, journey, replace(enrolment, entered_at=now), first, now)


def come_to(lead: Lead[Nurtured], journey: Journey, enrolment: Enrolment, step: MailStep, now: datetime) -> None:
    """The step is next, now or after its wait."""
    at_step = replace(enrolment, step=step.name, version=journey.version)
    if step.after:
        lead.state.keep(replace(at_step, waits_until=now + step.after))
    else:
        lead.state.keep(replace(at_step, waits_until=None))
        lead.state.put(touch_of_step(lead, at_step, journey, step, now))


def touch_of_step(lead: Lead[Nurtured], enrolment: Enrolment, journey: Journey, step: MailStep, now: datetime) -> Touch:
    """As it is planned, due now."""
    return Touch(
        touch_id=touch_id_of(lead.lead_id, enrolment.cycle, journey.name, step.name),
        cycle=enrolment.cycle,
        journey=journey.name,
        step=step.name,
        purpose=journey.purpose,
        due_at=now,
        at=now,
        delivery=step.delivery,
        trace=enrolment.trace,
    )


def _say_settled(lead: Lead[Nurtured], touch: Touch, fate: Fate) -> None:
    about = {"journey": touch.journey, "step": touch.step, "channel": touch.channel, "touch_id": str(touch.touch_id)}
    if touch.state is State.sent:
        lead.say(Sent(**about))
    elif fate is Fate.bounced:
        lead.say(Bounced(**about, reason=touch.reason, permanent=True))
    elif touch.state is State.deferred:
        lead.say(Deferred(**about, reason=touch.reason, until=touch.due_at.isoformat().replace("+00:00", "Z")))
    elif touch.state is not State.unknown:
        lead.say(Deferred(**about, reason=touch.reason))
