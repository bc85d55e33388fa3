"""Why a salesperson should call, as a sentence: what the person did, then how good the lead is."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.handover.domain.lead import SalesLead
from shared.lifecycle import Reason

_ASKED = {
    "demo_requested": "Asked for a demo",
    "contact_requested": "Asked to be contacted",
    "call": "Called",
    "inbound_call": "Called",
}
_CAME = {
    Reason.score_reached: "Reached the score for sales",
    Reason.fit_and_engagement: "Fits and is engaged",
    Reason.high_intent: "Shows that they want to buy",
    Reason.bant_confirmed: "Confirmed budget, authority, need and time",
    Reason.rules_changed: "Is ready by the new rules",
    Reason.hold_ended: "May be worth another try",
    Reason.imported: "Came from another system",
    Reason.manual: "Was given to sales by a person",
}
_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
    (timedelta(seconds=1), "second"),
)


def did(state: SalesLead, now: datetime) -> str:
    """`Asked for a demo 42 seconds ago`"""
    what = _ASKED.get(state.asked_for) or _ASKED.get(state.reason) or _CAME.get(Reason(state.reason or "manual"), "")
    at = state.asked_at if state.asked_for else state.since
    return f"{what or 'Came to sales'} {ago(at, now)}" if at else what or "Came to sales"


def reason(state: SalesLead, now: datetime) -> str:
    """`Asked for a demo 42 seconds ago; score 57, hot`"""
    score = "score unknown" if state.score is None else f"score {state.score:.0f}"
    return f"{did(state, now)}; {score}" + (f", {state.temperature}" if state.temperature else "")


def wants(state: SalesLead, product: str) -> str:
    """`A demo of loggers`, "" when the lead did not ask for anything."""
    what = {"demo_requested": "A demo", "contact_requested": "To be contacted", "call": "To talk"}.get(state.asked_for)
    if not what:
        return product
    return f"{what} {'of' if what == 'A demo' else 'about'} {product}" if product else what


def ago(at: datetime, now: datetime) -> str:
    """`just now`, `1 second ago`, `5 minutes ago`, `34 days ago`."""
    past = now - at
    for length, unit in _UNITS:
        if past >= length:
            count = past // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
