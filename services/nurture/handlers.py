"""What nurture does about each thing it hears, and when a wait is over."""

from __future__ import annotations

from datetime import datetime

from services.nurture import courses
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Consent, Person, Suppression, by_purpose
from services.nurture.journey_files import JOURNEYS
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.envelope import Envelope
from shared.events.handover import Offered
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason


def know_person(lead: Lead[Nurtured], event: Envelope[CardChanged], now: datetime) -> None:
    """A permission taken back ends what rests on it; one newly given may begin what waited for it."""
    refused_before = [journey for journey in JOURNEYS.values() if lead.state.refusal(journey.purpose)]
    lead.state.know(_person_on(event.data))
    courses.leave_refused(lead, now)
    if not event.history:
        for journey in refused_before:
            if lead.standing.stage in journey.enters and not lead.state.refusal(journey.purpose):
                courses.enter(lead, journey, now)
    courses.set_timer(lead)


def follow_stage(lead: Lead[Nurtured], event: Envelope[StageChanged], now: datetime) -> None:
    change = event.data
    if change.to == Stage.disqualified and change.reason == Reason.do_not_contact:
        for purpose in {journey.purpose for journey in JOURNEYS.values()}:
            lead.state.suppress(purpose, Suppression(event.time, "do_not_contact"))
    for enrolment in lead.state.active():
        journey = JOURNEYS.get(enrolment.journey)
        if journey is None or change.to in journey.exits:
            courses.leave(lead, enrolment, change.to, now)
    if not event.history:
        for journey in JOURNEYS.values():
            if journey.takes(change.from_, change.to, change.asked_for):
                courses.enter(lead, journey, now)
    courses.set_timer(lead)


def make_way_for_sales(lead: Lead[Nurtured], event: Envelope[Offered], now: datetime) -> None:
    """A rep was asked; nothing is mailed from here on, although the stage event may still be on its way.

    An offer from before the lead entered says nothing of the present: the lead has come back since.
    """
    for enrolment in lead.state.active():
        journey = JOURNEYS.get(enrolment.journey)
        begun = enrolment.entered_at or enrolment.waits_until
        if journey and Stage.handed_over in journey.exits and begun and event.time > begun:
            courses.leave(lead, enrolment, Stage.handed_over, now)
    courses.set_timer(lead)


def start_after_import(lead: Lead[Nurtured], event: Envelope[ActivityRecorded], now: datetime) -> None:
    """An import that was told to start journeys says so with its last word on each lead."""
    if event.data.activity != "import_ended" or not event.data.judge or event.history:
        return
    for journey in JOURNEYS.values():
        if lead.standing.stage in journey.enters:
            courses.enter(lead, journey, now)
    courses.set_timer(lead)


def know_score(lead: Lead[Nurtured], event: Envelope[ScoreChanged], _now: datetime) -> None:
    lead.state.rate(event.data.score, event.data.temperature)


def next_step(lead: Lead[Nurtured], due: datetime, now: datetime) -> None:
    for enrolment in lead.state.active():
        if enrolment.waits_until is not None and enrolment.waits_until <= now:
            courses.take_step(lead, enrolment, due, now)
    courses.set_timer(lead)


def _person_on(card: CardChanged) -> Person:
    return Person(
        email=card.reach("email"),
        name=card.name,
        language=card.language,
        consents=by_purpose((name, Consent(said.granted, said.at)) for name, said in card.consent.items()),
    )
