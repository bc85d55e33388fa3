"""Why a salesperson should call, as a sentence: what the person did, then how good the lead is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo

from services.handover.domain.lead import SalesLead
from shared.reasons import Reason

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


def did(state: SalesLead, when: Callable[[datetime], str]) -> str:
    """`Asked for a demo 42 seconds ago`; `when` says a moment at the end of a sentence."""
    what = _ASKED.get(state.asked_for) or _ASKED.get(state.reason) or _CAME.get(Reason(state.reason or "manual"), "")
    at = state.asked_at if state.asked_for else state.since
    return f"{what or 'Came to sales'} {when(at)}" if at else what or "Came to sales"


def reason(state: SalesLead, now: datetime) -> str:
    """`Asked for a demo 42 seconds ago; score 57, hot`"""
    score = "score unknown" if state.score is None else f"score {state.score:.0f}"
    return f"{did(state, lambda at: ago(at, now))}; {score}" + (f", {state.temperature}" if state.temperature else "")


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


def on(at: datetime, zone: tzinfo) -> str:
    """`on 17 November at 14:32`, which stays true however late it is read."""
    local = at.astimezone(zone)
    return f"on {local.day} {local:%B} at {local:%H:%M}"


def who(name: str, title: str = "", company: str = "") -> str:
    """`Mara Lindqvist, head of operations`; a lead without a name goes by its company's."""
    if not name:
        return f"Somebody at {company}" if company else "Somebody without a name"
    return f"{name}, {title}" if title else name


def cut(name: str) -> str:
    """A name as it may be shown before somebody accepts: `Mara L.`

    >>> cut("Mara Sofie Lindqvist"), cut("Mara"), cut("")
    ('Mara L.', 'Mara', '')
    """
    first, *others = name.split() or [""]
    return f"{first} {others[-1][0]}." if others else first


def title(answers: Mapping[str, str]) -> str:
    return next((answers[key] for key in ("job_title", "title", "role", "position") if answers.get(key)), "")


_WHY_YOU = {
    "next_in_turn": "It is your turn",
    "attempts_used": "Several reps let it pass, and you are the fallback owner",
    "all_refused": "Nobody is left to ask, and you are the fallback owner",
    "nobody_in_turn": "Nobody takes this kind in turn, and you are the fallback owner",
    "took_it": "You took it",
}


def why_you(why: str) -> str:
    return _WHY_YOU.get(why, "")


def why_now(
    state: SalesLead, returned_because: str | None, returned_note: str | None, when: Callable[[datetime], str]
) -> str:
    """`Asked for a demo 42 seconds ago`, and what the rep said who had it before."""
    words = did(state, when)
    if returned_because:
        words += f". Returned before: {label(returned_because)}" + (f" (“{returned_note}”)" if returned_note else "")
    return words


RETURN_LABELS = {
    Reason.unreachable: "Cannot be reached",
    Reason.not_ready: "Not ready yet, later perhaps",
    Reason.bad_timing: "The time is wrong for them",
    Reason.no_need: "They do not need it",
    Reason.no_budget: "No budget",
    Reason.no_authority: "Not the one who decides",
    Reason.no_value: "See no value in it",
    Reason.not_interested: "Not interested",
    Reason.wrong_contact: "Wrong person or wrong contact",
}
"""Why a lead may be returned, in a rep's words; those that come up most often first."""


def label(reason: str) -> str:
    """`no budget`"""
    return RETURN_LABELS.get(Reason(reason), reason.replace("_", " ")).lower()


_ENDED = {
    "expired": "Nobody answered in time, so the next rep was asked.",
    "withdrawn": "The lead went another way before there was an answer.",
    "closed": "The lead is no longer in work.",
}


def ended(state: str) -> str:
    return _ENDED.get(state, "It has been used, or its time has passed.")
