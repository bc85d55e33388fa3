"""What it means to offer a lead to a rep, and how a rep answers: every way to the handshake ends here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.handover.domain.lead import Decision, Offer, OfferState, SalesLead
from services.handover.domain.rotation import Choice
from services.handover.moving import move
from shared import lifecycle
from shared.clock import uuid7
from shared.errors import Malformed, Refused
from shared.events.handover import Accepted, Offered, Returned
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import RETURN_REASONS, Reason

ROUND_ROBIN, FALLBACK, TAKEN = "round_robin", "fallback", "taken"


class Taken(Refused):
    """Another rep holds this lead."""

    title = "Taken"


class NotNow(Refused):
    """The lead's stage does not allow this."""

    title = "Not in this stage"


def offer(lead: Lead[SalesLead], choice: Choice, due_at: datetime | None, now: datetime) -> None:
    """Ask the chosen rep; a fallback owner's offer does not run out."""
    assert choice.rep is not None
    route = FALLBACK if choice.fallback else ROUND_ROBIN
    due_at = None if choice.fallback else due_at
    _ask(lead, choice.rep.rep_id, route, choice.why, due_at, now, tell=not lead.standing.test)


def accept(lead: Lead[SalesLead], rep_id: UUID, now: datetime) -> None:
    """A rep takes the lead: the one it is offered to, or any while nobody is asked. Accepting again changes nothing.

    Raises `NotOwner`, `Taken` or `NotNow`.
    """
    check_ours(lead)
    check_holder(lead, rep_id)
    stage = lead.standing.stage
    if stage in (Stage.accepted, Stage.opportunity) and lead.state.owner == rep_id:
        return
    if stage is Stage.sql:
        _ask(lead, rep_id, TAKEN, "took_it", None, now, tell=False)
    elif stage is not Stage.handed_over:
        raise not_now(lead, "accepted")
    asked = lead.state.offer
    assert asked is not None
    asked.state, asked.answered_at = OfferState.accepted, now
    lead.state.offers[asked.offer_id] = asked
    move(lead, Stage.accepted, Reason.accepted, now)
    lead.say(Accepted(rep=str(rep_id), cycle=lead.standing.cycle, offer_id=str(asked.offer_id)))


def give_back(lead: Lead[SalesLead], rep_id: UUID, reason: str, note: str, now: datetime) -> None:
    """A rep returns the lead, with a reason; it comes to sales again only when scoring says so.

    `note` is for the next rep. Raises `Malformed` for an unknown reason, `NotOwner`, `Taken` or `NotNow`.
    """
    if reason not in RETURN_REASONS:
        raise Malformed(problems=[("/reason", f"must be one of {', '.join(sorted(RETURN_REASONS))}")])
    decision = Decision(str(rep_id), reason)
    if lead.standing.stage is Stage.returned and lead.state.decisions.get("return") == decision:
        return
    check_ours(lead)
    check_holder(lead, rep_id)
    state, asked = lead.state, lead.state.offer
    if state.owner != rep_id or asked is None or lead.standing.stage is Stage.customer:
        raise not_now(lead, "returned")
    state.end_offer(OfferState.returned, now, reason, note or None)
    state.refuse(rep_id)
    state.decisions["return"] = decision
    lead.say(
        Returned(
            rep=str(rep_id),
            cycle=lead.standing.cycle,
            reason=reason,
            offer_id=str(asked.offer_id),
            note_length=len(note),
        )
    )
    move(lead, Stage.returned, reason, now)


def check_ours(lead: Lead[SalesLead]) -> None:
    if not lead.mine:
        raise lifecycle.NotOwner(lifecycle.owner(lead.standing.stage, lead.standing.stage_before))


def check_holder(lead: Lead[SalesLead], rep_id: UUID) -> None:
    """Raises `Taken` when the lead is another rep's, also while that rep has only been asked."""
    holder = lead.state.owner
    if holder is not None and holder != rep_id:
        offered = lead.standing.stage is Stage.handed_over
        words = "is offered to another rep right now" if offered else "is taken: another rep holds it"
        raise Taken(f"This lead {words}.", owner="handover", stage=lead.standing.stage, holder=str(holder))


def not_now(lead: Lead[SalesLead], what: str) -> NotNow:
    stage = lead.standing.stage
    return NotNow(f"A lead that is {stage} cannot be {what}.", owner="handover", stage=stage)


def _ask(
    lead: Lead[SalesLead], rep_id: UUID, route: str, why: str, due_at: datetime | None, now: datetime, *, tell: bool
) -> None:
    state, cycle = lead.state, lead.standing.cycle
    asked = Offer(uuid7(), rep_id, cycle, state.attempts + 1, now, due_at, route, why, tell=tell)
    state.ask(asked)
    move(lead, Stage.handed_over, Reason.offered, now, rule=route)
    lead.say(
        Offered(
            rep=str(rep_id),
            cycle=cycle,
            offer_id=str(asked.offer_id),
            due_at=due_at.isoformat().replace("+00:00", "Z") if due_at else "",
            attempt=asked.attempt,
            route=route,
            why=why,
        )
    )
