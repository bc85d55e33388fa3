"""What handover does about each event it hears."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from services.handover import moving
from services.handover.domain.facts import REQUESTS
from services.handover.domain.lead import Card, OfferState, Purchase, Request, SalesLead
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.envelope import Envelope
from shared.events.handover import Expired
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged, TopReason
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason


def keep_card(lead: Lead[SalesLead], event: Envelope[CardChanged], now: datetime) -> None:
    data = event.data
    lead.state.card_changed = True
    lead.state.card = Card(
        version=event.seq,
        name=data.name,
        company=data.company,
        email=data.reach("email"),
        phone=data.reach("phone"),
        language=data.language,
        message=data.message,
        answers=data.answers,
    )


def follow_stage(lead: Lead[SalesLead], event: Envelope[StageChanged], now: datetime) -> None:
    state, data = lead.state, event.data
    state.heard.append(event)
    # Of the scores that scoring says in one go a move tells one, and their own topic the last.
    if data.score is not None and (state.scored_at is None or event.attributes.recordedtime > state.scored_at):
        _score(state, data.score, data.temperature, data.top_reasons, event.attributes.recordedtime)
    moving.entered(lead, event.time if event.history else now, history=event.history, reason=data.reason)
    if lead.standing.stage is Stage.sql:
        _take_over(state, event)
    elif lead.standing.stage is Stage.disqualified:
        state.facts.flag = ""
    if lead.mine:
        moving.settle(lead, now)


def _take_over(state: SalesLead, event: Envelope[StageChanged]) -> None:
    request, state.facts.request = state.facts.request, None
    state.cause_id, state.trace = str(event.id), event.attributes.traceparent
    state.asked_for, state.asked_at = event.data.asked_for, event.time
    if request is not None and request.activity == event.data.asked_for:
        state.asked_at = request.at


def keep_score(lead: Lead[SalesLead], event: Envelope[ScoreChanged], now: datetime) -> None:
    """Scoring says a score here and with its moves: two topics, between which there is no order."""
    state, data = lead.state, event.data
    if state.scored_at is None or event.attributes.recordedtime >= state.scored_at:
        _score(state, data.score, data.temperature, data.top_reasons, event.attributes.recordedtime)


def _score(state: SalesLead, score: float, temperature: str, reasons: list[TopReason], at: datetime) -> None:
    state.score, state.temperature, state.scored_at = score, temperature, at
    state.top_reasons = msgspec.to_builtins(reasons)


def note_activity(lead: Lead[SalesLead], event: Envelope[ActivityRecorded], now: datetime) -> None:
    facts, data = lead.state.facts, event.data
    if data.activity == "purchase":
        facts.purchase = Purchase(event.seq, data.value, data.currency, event.time, event.history)
    elif data.activity == "flagged" and lead.standing.stage is not Stage.disqualified:
        facts.flag = data.reason
    elif data.activity in REQUESTS:
        recorded = event.attributes.recordedtime
        _note_request(lead, Request(event.seq, data.activity, event.time, recorded, event.history), event)
    else:
        return
    if lead.mine:
        moving.settle(lead, now)


def _note_request(lead: Lead[SalesLead], request: Request, event: Envelope[ActivityRecorded]) -> None:
    state = lead.state
    if not lead.mine or lead.standing.stage is Stage.customer:
        state.facts.request = request
        return
    state.asked_for, state.asked_at = request.activity, request.at
    if lead.standing.stage is Stage.sql and not state.listed and not request.history:
        # What history left lying at sales begins to count as soon as the lead itself comes forward.
        state.listed, state.since = True, event.time
        state.cause_id, state.trace = str(event.id), event.attributes.traceparent


# How long an expiry waits to be looked at again while nobody could answer.
STILL = timedelta(seconds=5)


def expire(lead: Lead[SalesLead], due: datetime, now: datetime) -> None:
    """The time to answer is over: the next rep is asked."""
    state, offer = lead.state, lead.state.offer
    due_at = state.due_at
    if lead.standing.stage is not Stage.handed_over or offer is None or due_at is None:
        return
    if due_at > now or state.silent:
        lead.timers[moving.EXPIRY] = max(due_at, now + STILL) if state.silent else due_at
        return
    state.end_offer(OfferState.expired, now)
    state.refuse(offer.rep_id)
    lead.say(Expired(rep=str(offer.rep_id), cycle=lead.standing.cycle, offer_id=str(offer.offer_id)))
    moving.move(lead, Stage.sql, Reason.expired, now)
