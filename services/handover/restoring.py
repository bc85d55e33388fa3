"""What handover does beside hearing again, when its tables are older than what it has said: who was asked is not asked
again.

First it hears what the others said, and its own stage events. Then it hears what else it said, in order: who was asked,
what they answered, what became of it. At the end each lead's offer is brought in line with its stage, and what was
learned meanwhile is decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.handover import moving
from services.handover.domain.lead import Decision, Offer, OfferState, SalesLead
from services.handover.domain.outcome import Outcome
from services.handover.outcomes import Report, keep, worth
from shared.consumer import Handler
from shared.events import handover as said
from shared.events.envelope import Envelope, Event
from shared.events.stage import StageChanged
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason

if TYPE_CHECKING:
    from shared.database import Connection

# Positions of the feed that were given since the backup are not given again: more than any feed can have grown.
FEED_LEAP = 1_000_000_000

# What a lead is given as it comes to sales; the first few, as another service hands it over.
_OF_COMING = ("asked_for", "asked_at", "cause_id", "trace", "since", "reason", "listed")
_OF_TAKING_OVER = 4


def as_it_was(handlers: Mapping[type[Event], Handler[Any]]) -> dict[type[Event], Handler[Any]]:
    """The same handlers, as if each event were heard when it was recorded."""

    def then(handler: Handler[Any]) -> Handler[Any]:
        def handle(lead: Lead[SalesLead], event: Envelope[Any], now: datetime) -> None:
            state = lead.state
            cycle, came = state.cycle, {name: getattr(state, name) for name in _OF_COMING}
            handler(lead, event, event.attributes.recordedtime)
            if isinstance(event.data, StageChanged) and event.attributes.source == "/leadline/handover":
                state.heard.remove(event)  # it goes to the feed with all that is said again
                kept = _OF_COMING[: None if event.data.to == Stage.sql else _OF_TAKING_OVER]
                for name in kept if state.cycle == cycle else ():
                    setattr(state, name, came[name])

        return handle

    return {event: then(handler) for event, handler in handlers.items()}


def offered(lead: Lead[SalesLead], event: Envelope[said.Offered], now: datetime) -> None:
    told, state = event.data, lead.state
    if state.offer is not None and state.offer.state is OfferState.open:
        state.end_offer(OfferState.withdrawn, event.time)
    due_at = datetime.fromisoformat(told.due_at) if told.due_at else None
    offer_id, rep_id = UUID(told.offer_id), UUID(told.rep)
    state.offer = Offer(offer_id, rep_id, told.cycle, told.attempt, event.time, due_at, told.route, told.why)
    state.offers[offer_id] = state.offer
    if told.cycle == lead.standing.cycle:
        state.attempts, state.waits_for = told.attempt, ""


def accepted(lead: Lead[SalesLead], event: Envelope[said.Accepted], now: datetime) -> None:
    if (offer := _offer(lead, event.data.offer_id)) is not None:
        offer.state, offer.answered_at, offer.ended_at, offer.reason = OfferState.accepted, event.time, None, ""


def returned(lead: Lead[SalesLead], event: Envelope[said.Returned], now: datetime) -> None:
    told = event.data
    if (offer := _offer(lead, told.offer_id)) is not None:
        offer.end(OfferState.returned, event.time, told.reason)
    if told.cycle == lead.standing.cycle:
        lead.state.refuse(UUID(told.rep))
        lead.state.decisions["return"] = Decision(told.rep, told.reason)


def expired(lead: Lead[SalesLead], event: Envelope[said.Expired], now: datetime) -> None:
    told = event.data
    if (offer := _offer(lead, told.offer_id)) is not None:
        offer.end(OfferState.expired, event.time)
    if told.cycle == lead.standing.cycle:
        lead.state.refuse(UUID(told.rep))


def _offer(lead: Lead[SalesLead], offer_id: str) -> Offer | None:
    """The lead's last offer, which is to be kept anew, if it is this one."""
    offer = lead.state.offer
    if offer is None or str(offer.offer_id) != offer_id:
        return None
    lead.state.offers[offer.offer_id] = offer
    return offer


_OUTCOMES: Mapping[type[Event], Outcome] = {
    said.OpportunityOpened: Outcome.opportunity,
    said.Won: Outcome.won,
    said.Lost: Outcome.lost,
    said.Disqualified: Outcome.disqualified,
    said.Fulfilled: Outcome.fulfilled,
    said.Paid: Outcome.paid,
}


def reported(lead: Lead[SalesLead], event: Envelope[Any], now: datetime) -> None:
    told = event.data
    if told.cycle == lead.standing.cycle:
        reason, value, currency = (getattr(told, name, "") for name in ("reason", "value", "currency"))
        given = Report(_OUTCOMES[type(told)], None, reason, value, currency)
        keep(lead.state, given, told.rep, *worth(given, lead.state), event.time)
    if isinstance(told, said.Lost | said.Disqualified):
        _end(lead, event.time)


OWN: Mapping[type[Event], Handler[SalesLead]] = {
    said.Offered: offered,
    said.Accepted: accepted,
    said.Returned: returned,
    said.Expired: expired,
    **dict.fromkeys(_OUTCOMES, reported),
}


def bring_in_line(lead: Lead[SalesLead], now: datetime) -> None:
    """Offer, owner and clock as the stage wants them. What is on offer to nobody known goes back to be offered."""
    state, stage, offer = lead.state, lead.standing.stage, lead.state.offer
    here = offer is not None and offer.cycle == lead.standing.cycle
    if offer is None or stage is Stage.merged:
        pass
    elif here and stage in (Stage.accepted, Stage.opportunity, Stage.customer) and _lives(offer):
        if offer.state is OfferState.open and stage is not Stage.customer:
            offer.state, offer.answered_at = OfferState.accepted, now
            state.offers[offer.offer_id] = offer
        state.owner = offer.rep_id if offer.state is OfferState.accepted else None
    elif here and stage is Stage.handed_over and offer.state is OfferState.open:
        state.owner = offer.rep_id
    else:
        _end(lead, now)
        state.owner = None
    if stage is Stage.handed_over and state.owner is None:
        moving.move(lead, Stage.sql, Reason.expired, now)
    elif stage is Stage.handed_over and state.due_at is not None:
        lead.timers[moving.EXPIRY] = state.due_at


def _end(lead: Lead[SalesLead], at: datetime) -> None:
    offer = lead.state.offer
    if offer is not None:
        lead.state.end_offer(OfferState.withdrawn if offer.state is OfferState.open else OfferState.closed, at)


def _lives(offer: Offer) -> bool:
    return offer.state in (OfferState.open, OfferState.accepted)


async def begin(connection: Connection) -> None:
    """Before anything is heard: who has read the feed further than its backup goes misses nothing of what follows."""
    await connection.execute(
        "UPDATE handover.feed SET pos = pos + $1 WHERE pos = (SELECT max(pos) FROM handover.feed)", FEED_LEAP
    )


def settle(lead: Lead[SalesLead], now: datetime) -> None:
    """A lead of which everything was heard: its offer as its stage wants it, and what was learned decided on."""
    bring_in_line(lead, now)
    moving.settle(lead, now)


async def finish(connection: Connection, now: datetime) -> tuple[int, int]:
    """Answers how many leads are with a rep, and how many reps are known by nothing but their id."""
    # Who was to be told at the time of the backup has been told since, or has it on the worklist.
    await connection.execute(
        "UPDATE handover.mail SET state = 'dropped', error = 'restored' WHERE state IN ('waiting', 'sending')"
    )
    strangers = await connection.fetch(
        """INSERT INTO handover.rep (rep_id, name, email, active, created_at)
            SELECT DISTINCT rep_id, 'Added after the backup', rep_id || '@unknown.invalid', false, $1::timestamptz
            FROM handover.offer ON CONFLICT (rep_id) DO NOTHING RETURNING rep_id""",
        now,
    )
    await _answerable_until_last_said(connection)
    held = await connection.fetchval("SELECT count(*) FROM handover.lead WHERE listed AND owner IS NOT NULL")
    return held, len(strangers)


async def _answerable_until_last_said(connection: Connection) -> None:
    """Clocks that run against reps stood still from then on, not from the backup on."""
    newest = await connection.fetchval("SELECT max(event_id::text) FROM bus.handover_log")
    if newest is not None:
        at = datetime.fromtimestamp((UUID(newest).int >> 80) / 1000, UTC)
        await connection.execute("UPDATE handover.heartbeat SET beat_at = greatest(beat_at, $1)", at)
