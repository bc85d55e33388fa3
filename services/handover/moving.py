"""How handover moves a lead on: with the score it has at that moment, and all that hangs on its stage in line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from services.handover.domain.facts import answer
from services.handover.domain.lead import SalesLead
from shared.events.stage import TopReason
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason

EXPIRY = "expiry"


def move(lead: Lead[SalesLead], to: Stage, reason: str, now: datetime, **said: Any) -> None:
    """Move a lead and say so. `said` goes into the event: time, rule, asked_for, value, currency.

    Raises `lifecycle.NotOwner` and `lifecycle.IllegalMove`.
    """
    state = lead.state
    lead.move(
        to,
        reason,
        score=state.score,
        temperature=state.temperature,
        top_reasons=msgspec.convert(state.top_reasons, list[TopReason]),
        **said,
    )
    entered(lead, now, history=lead.cause.history, reason=reason)


def entered(lead: Lead[SalesLead], at: datetime, *, history: bool, reason: str) -> None:
    stage = lead.standing.stage
    assert stage is not None
    lead.state.entered(stage, lead.standing.cycle, at, history=history, reason=reason)
    due_at = lead.state.due_at if stage is Stage.handed_over else None
    if due_at is None:
        lead.timers.pop(EXPIRY, None)
    else:
        lead.timers[EXPIRY] = due_at


def settle(lead: Lead[SalesLead], now: datetime) -> None:
    """Decide anew on all that is known of a lead of ours."""
    while lead.mine and lead.standing.stage is not None:
        found = answer(lead.standing.stage, lead.state.facts)
        if found is None:
            return
        _follow(lead, found.to, found.reason, now)


def _follow(lead: Lead[SalesLead], to: Stage, reason: Reason, now: datetime) -> None:
    state, facts = lead.state, lead.state.facts
    if to is Stage.customer and (purchase := facts.purchase):
        state.value, state.currency = purchase.value, purchase.currency
        time = purchase.at if purchase.history else None
        move(lead, to, reason, now, time=time, value=purchase.value, currency=purchase.currency)
    elif to is Stage.registered and (request := facts.request):
        move(lead, to, reason, now, asked_for=request.activity)
    else:
        facts.flag = ""
        move(lead, to, reason, now)
