"""What insights writes down of each event it hears. It decides nothing and starts nothing."""

from __future__ import annotations

from datetime import date, datetime
from typing import cast

import msgspec

from services.insights.domain.lead import Entry, LeadView, MarketDay, Move
from services.insights.domain.note import Grading, card_note, fields_of, kept, person_of
from services.insights.domain.tally import Origin
from shared.events import handover
from shared.events.capture import ActivityRecorded, CardChanged, DayCounted
from shared.events.envelope import Envelope, Event
from shared.events.nurture import Clicked, Opened
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.leads import Lead
from shared.lifecycle import OWNER, Stage

Deed = ActivityRecorded | Opened | Clicked
Named = handover.Offered | handover.Accepted | handover.Expired | handover.Returned


def keep_card(lead: Lead[LeadView], event: Envelope[CardChanged], now: datetime) -> None:
    view, card, first = lead.state, event.data, event.data.first_touch
    note = card_note(view.person, view.noted, card, first=view.created_at is None)
    view.person = person_of(card)
    view.noted = msgspec.structs.replace(view.noted, fields=fields_of(card), consent=card.consent)
    view.origin = Origin(view.origin.site or event.attributes.site, first.source, first.channel, first.campaign)
    view.medium = first.medium
    view.created_at = card.created_at or view.created_at or event.time
    _enter(lead, event, cast("dict[str, object]", msgspec.to_builtins(note)))


def follow_stage(lead: Lead[LeadView], event: Envelope[StageChanged], now: datetime) -> None:
    view, move = lead.state, event.data
    view.stage, view.moved_at = Stage(move.to), event.time
    product = move.product or lead.standing.product
    view.progress.enter(
        Stage(move.from_) if move.from_ else None, view.stage, move.reason, move.cycle, event.time, product
    )
    view.moves.append(
        Move(event.id, event.seq, move.cycle, move.from_ or "", move.to, move.reason, move.value, move.currency,
             event.time, event.history)
    )  # fmt: skip
    if move.score is not None and _tells_the_score(view, event):
        _score(view, move.score, move.temperature, event)
    write_down(lead, event, now)


def keep_score(lead: Lead[LeadView], event: Envelope[ScoreChanged], now: datetime) -> None:
    """Scoring says a score here and with its moves: two topics, between which there is no order."""
    view, data = lead.state, event.data
    if view.scored_at is None or event.attributes.recordedtime >= view.scored_at:
        _score(view, data.score, data.temperature, event)
    grading = Grading(data.score, data.fit, data.engagement, data.grade, data.rules_version)
    view.noted = msgspec.structs.replace(view.noted, grading=grading)
    write_down(lead, event, now)


def _score(view: LeadView, score: float, temperature: str, event: Envelope[Event]) -> None:
    view.score, view.temperature, view.scored_at = score, temperature, event.attributes.recordedtime


def _tells_the_score(view: LeadView, event: Envelope[StageChanged]) -> bool:
    """Whoever else moves a lead tells the score it has heard of, which may be an old one.

    Of the scores that scoring says in one go a move tells one, and their own topic the last.
    """
    by_scoring = event.data.from_ is not None and OWNER[Stage(event.data.from_)] == "scoring"
    return by_scoring and (view.scored_at is None or event.attributes.recordedtime > view.scored_at)


def note_deed(lead: Lead[LeadView], event: Envelope[Deed], now: datetime) -> None:
    """Something the person did."""
    view = lead.state
    view.seen_at = max(view.seen_at or event.time, event.time)
    write_down(lead, event, now)


def name_rep(lead: Lead[LeadView], event: Envelope[Named], now: datetime) -> None:
    """Sales named who has the lead; nobody, once an offer has run out or the lead was given back."""
    lead.state.rep = "" if isinstance(event.data, (handover.Expired, handover.Returned)) else event.data.rep
    write_down(lead, event, now)


def write_down(lead: Lead[LeadView], event: Envelope[Event], now: datetime) -> None:
    _enter(lead, event, kept(event.data))


def _enter(lead: Lead[LeadView], event: Envelope[Event], data: dict[str, object]) -> None:
    view, attributes = lead.state, event.attributes
    view.known, view.test = True, lead.standing.test
    if attributes.site and not view.origin.site:
        view.origin = Origin(attributes.site, view.origin.source, view.origin.channel, view.origin.campaign)
    view.updated_at = max(view.updated_at or attributes.recordedtime, attributes.recordedtime)
    view.entries.append(Entry(event.time, event.id, attributes.recordedtime, event.type, attributes.source, data))


def note_erasure(lead: Lead[LeadView], event: Envelope[ErasureDone], now: datetime) -> None:
    """Another service may be done before we hear the tombstone; of a lead that is gone here nothing is kept."""
    if lead.state.known and not lead.standing.erased:
        write_down(lead, event, now)


def count_day(lead: Lead[LeadView], event: Envelope[DayCounted], now: datetime) -> None:
    """The key of this topic is the site: there is no lead behind it."""
    day = event.data
    lead.state.origin = Origin(site=event.attributes.site)
    lead.state.days.append(
        MarketDay(date.fromisoformat(day.day), day.what, day.source, day.conversion_point, day.count, day.amount,
                  day.currency, event.attributes.recordedtime)
    )  # fmt: skip
