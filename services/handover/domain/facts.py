"""What the owner of a lead does about facts that others said: a purchase, a flag, a wish to be contacted."""

from __future__ import annotations

from dataclasses import dataclass

from services.handover.domain.lead import AT_SALES, Facts, Request
from shared.lifecycle import Stage
from shared.reasons import DISQUALIFY_REASONS, Reason

REQUESTS = frozenset({"demo_requested", "contact_requested", "call"})
"""Activities by which a lead asks to be contacted."""


@dataclass(frozen=True)
class Answer:
    to: Stage
    reason: Reason


def answer(stage: Stage, facts: Facts) -> Answer | None:
    """Where the facts bring a lead in a stage of ours; None where it stays. A purchase outweighs a flag."""
    if stage in AT_SALES:
        if facts.purchase is not None:
            return Answer(Stage.customer, Reason.purchase)
        if facts.flag:
            return Answer(Stage.disqualified, _why_not(facts.flag))
    if stage is Stage.customer and facts.request is not None and _asks_again(facts.request, facts):
        return Answer(Stage.registered, Reason.new_cycle)
    return None


def _asks_again(request: Request, facts: Facts) -> bool:
    """What was asked before buying is settled by buying; what history asks starts nothing."""
    if request.history:
        return False
    if facts.purchase is not None:
        return request.seq > facts.purchase.seq
    # A lead's activities are heard in order: a purchase that made this customer and is not heard yet came later.
    if facts.customer_by == Reason.purchase or facts.customer_at is None:
        return False
    return request.recorded >= facts.customer_at


def _why_not(flag: str) -> Reason:
    # A word of another system that we do not know still is somebody's decision.
    return Reason(flag) if flag in DISQUALIFY_REASONS else Reason.manual
