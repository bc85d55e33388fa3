"""What a rep says became of a lead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.handover.domain.lead import Decision, SalesLead
from services.handover.domain.outcome import RESULT, Outcome, effect, reasons_of
from services.handover.moving import move
from services.handover.offering import check_holder, check_ours, not_now
from shared.errors import Malformed, Refused
from shared.events import handover as said
from shared.events.envelope import Event
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason


class AlreadySaid(Refused):
    """This was said before, with other figures."""

    title = "Already said"


@dataclass(frozen=True)
class Report:
    """`rep` None: whoever holds the lead. `value` is a decimal string, with `currency`; empty where none was given."""

    outcome: Outcome
    rep: UUID | None = None
    reason: str = ""
    value: str = ""
    currency: str = ""


def report(lead: Lead[SalesLead], given: Report, now: datetime) -> None:
    """Take in an outcome. Raises `Malformed`, `NotOwner`, `Taken`, `NotNow` or `AlreadySaid`."""
    _check_reason(given)
    if _said_before(lead, given):
        return
    check_ours(lead)
    if given.rep is not None:
        check_holder(lead, given.rep)
    stage, state = lead.standing.stage, lead.state
    assert stage is not None
    what = effect(stage, given.outcome, given.reason)
    if what.kind == "no":
        raise not_now(lead, given.outcome.replace("opportunity", "an opportunity"))
    if stage is Stage.customer and given.outcome in state.decisions:
        raise AlreadySaid(f"This lead was said to be {given.outcome} before, with other figures.")
    rep = str(given.rep or state.owner or "")
    value, currency = worth(given, state)
    keep(state, given, rep, value, currency, now)
    told = {"value": value, "currency": currency} if what.to in (Stage.opportunity, Stage.customer) else {}
    if what.to is Stage.customer and stage is Stage.accepted:
        move(lead, Stage.opportunity, Reason.deal_opened, now, **told)  # a deal is open before it is told to be won
    lead.say(_event(given, rep, lead.standing.cycle, value, currency))
    if what.to is not None:
        move(lead, what.to, what.reason, now, **told)


def _check_reason(given: Report) -> None:
    known = reasons_of(given.outcome)
    if known is not None and given.reason not in known:
        raise Malformed(problems=[("/reason", f"must be one of {', '.join(sorted(known))}")])
    if known is None and given.reason:
        raise Malformed(problems=[("/reason", f"goes with lost and disqualified, not with {given.outcome}")])


def _said_before(lead: Lead[SalesLead], given: Report) -> bool:
    before = lead.state.decisions.get(given.outcome)
    if before is None or lead.standing.stage is not RESULT[given.outcome]:
        return False
    same_rep = given.rep is None or str(given.rep) == before.rep
    same_worth = not given.value or (given.value, given.currency) == (before.value, before.currency)
    return same_rep and same_worth and given.reason == before.reason


def worth(given: Report, state: SalesLead) -> tuple[str, str]:
    """What was given, else what the deal was said to be worth."""
    return (given.value, given.currency) if given.value else (state.value, state.currency)


def keep(state: SalesLead, given: Report, rep: str, value: str, currency: str, now: datetime) -> None:
    """What the lead itself remembers of an outcome."""
    state.decisions[given.outcome] = Decision(rep, given.reason, value, currency)
    if given.outcome in (Outcome.opportunity, Outcome.won):
        state.value, state.currency = value, currency
    elif given.outcome is Outcome.fulfilled:
        state.fulfilled_at = now
    elif given.outcome is Outcome.paid:
        state.paid_at = now


def _event(given: Report, rep: str, cycle: int, value: str, currency: str) -> Event:
    match given.outcome:
        case Outcome.opportunity:
            return said.OpportunityOpened(rep=rep, cycle=cycle, value=value, currency=currency)
        case Outcome.won:
            return said.Won(rep=rep, cycle=cycle, value=value, currency=currency)
        case Outcome.lost:
            return said.Lost(rep=rep, cycle=cycle, reason=given.reason)
        case Outcome.disqualified:
            return said.Disqualified(rep=rep, cycle=cycle, reason=given.reason)
        case Outcome.fulfilled:
            return said.Fulfilled(rep=rep, cycle=cycle)
        case Outcome.paid:
            return said.Paid(rep=rep, cycle=cycle, value=value, currency=currency)
