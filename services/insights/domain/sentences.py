"""What the timeline and the list of stage changes say of each event, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from services.insights.domain.figures import signed
from services.insights.domain.note import CardNote
from services.insights.domain.progress import DEPTH
from services.insights.domain.words import (
    because,
    capital,
    listed,
    minutes,
    moment,
    points,
    reason_words,
    with_article,
    words,
    worth,
)
from shared.events import capture, handover, nurture
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.codec import EVENTS
from shared.events.envelope import Event
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.lifecycle import Stage
from shared.pages.figures import figure, whole
from shared.reasons import Reason

N = TypeVar("N", bound=msgspec.Struct)

SAYS: dict[type[Event], Callable[[Any], str]] = {}
"""By event, what is said of it. A card is told by its note."""

NOT_TOLD = frozenset({capture.CardErased, capture.DayCounted})
"""Events that no timeline holds: of an erased lead there is none, and a day is not a lead's."""

_BECAME: Mapping[str, str] = {
    Stage.prospect: "Was taken in as a prospect",
    Stage.captured: "Came in as a new lead",
    Stage.registered: "Was confirmed",
    Stage.iql: "Wants information (IQL)",
    Stage.mql: "Became engaged (MQL)",
    Stage.sql: "Became ready for sales (SQL)",
    Stage.handed_over: "Was offered to a rep",
    Stage.accepted: "Is in work with a rep",
    Stage.opportunity: "A deal is open",
    Stage.customer: "Became a customer",
    Stage.returned: "Was returned by sales",
    Stage.lost: "No deal",
    Stage.disqualified: "Was found not to be a lead",
    Stage.merged: "Was joined with another lead",
}
_BACK_TO: Mapping[str, str] = {
    Stage.registered: "Went back to being confirmed",
    Stage.iql: "Only wants information again (IQL)",
    Stage.mql: "Is engaged as before (MQL)",
    Stage.sql: "Is ready for sales again (SQL)",
}
# Stages that say all there is to say when they are entered for this reason.
_PLAIN = frozenset({(Stage.handed_over, Reason.offered), (Stage.opportunity, Reason.deal_opened)})

_DID: Mapping[str, str] = {
    "form_submitted": "Sent a form",
    "demo_requested": "Asked for a demo",
    "contact_requested": "Asked to be contacted",
    "newsletter_subscribed": "Subscribed to the newsletter",
    "asset_downloaded": "Downloaded",
    "page_viewed": "Looked at a page",
    "product_viewed": "Looked at a product",
    "pricing_viewed": "Looked at prices",
    "webinar_registered": "Registered for the webinar",
    "webinar_attended": "Came to the webinar",
    "trial_started": "Started a trial",
    "chat_message": "Wrote in the chat",
    "call": "Called",
    "sms": "Sent a text message",
    "email_reply": "Answered a mail",
    "purchase": "Bought",
    "flagged": "Was flagged",
    "import_ended": "Was brought in from elsewhere",
}

_FIELDS: Mapping[str, str] = {
    "name": "name",
    "company": "company",
    "email": "e-mail address",
    "phone": "phone number",
    "message": "message",
}


def sentence(type_: str, data: Mapping[str, object]) -> str:
    """One line about an event as the timeline keeps it."""
    event = EVENTS.get(type_)
    if event is None:  # kept by a newer version, which was then taken back
        _, fact = type_.removeprefix("io.leadline.").split(".")[:2]
        return words(fact)
    shape: type[msgspec.Struct] = CardNote if event is CardChanged else event
    return SAYS[event](msgspec.convert(data, shape))


def _tells(event: type[Event]) -> Callable[[Callable[[N], str]], Callable[[N], str]]:
    def register(say: Callable[[N], str]) -> Callable[[N], str]:
        SAYS[event] = say
        return say

    return register


@_tells(CardChanged)
def _card(note: CardNote) -> str:
    known = [_FIELDS[name] for name in note.known if name in _FIELDS]
    answers = sum(name.startswith("answers.") for name in note.known)
    if answers:
        known.append("answer" if answers == 1 else f"{answers} answers")
    parts = [f"Left {listed([with_article(what) for what in known])}"] if known else []
    changed = [_FIELDS[name] for name in note.changed if name in _FIELDS]
    parts += [f"changed the {listed(changed)}"] if changed else []
    gone = [_FIELDS[name] for name in note.gone if name in _FIELDS]
    parts += [f"no longer has the {listed(gone)}"] if gone else []
    parts += [f"said yes to {purpose.replace('_', ' ')}" for purpose in note.said_yes]
    parts += [f"said no to {purpose.replace('_', ' ')}" for purpose in note.said_no]
    return capital("; ".join(parts)) or ("A card was opened" if note.first else "The card was written anew")


@_tells(ActivityRecorded)
def _activity(did: ActivityRecorded) -> str:
    said = _DID.get(did.activity, words(did.activity))
    match did.activity:
        case "asset_downloaded":
            return f"{said} {did.asset or did.path or 'a file'}"
        case "page_viewed" | "product_viewed":
            what = did.asset or did.path
            return f"{said}: {what}" if what else said
        case "purchase":
            return said + worth(did.value, did.currency, " for ")
        case "flagged":
            return f"{said} as {reason_words(did.reason).removeprefix('is ')}"
        case "webinar_registered" | "webinar_attended" | "trial_started":
            said += f" {did.asset}" if did.asset else ""
        case _:
            what = did.conversion_point or did.asset
            said += f": {what}" if what else ""
    said += f", {minutes(did.duration_seconds)}" if did.duration_seconds is not None else ""
    said += f", {figure(did.text_length)} characters" if did.text_length else ""
    return said + (f" ({did.outcome.replace('_', ' ')})" if did.outcome else "")


@_tells(StageChanged)
def _stage(move: StageChanged) -> str:
    said = _became(move)
    if (move.to, move.reason) not in _PLAIN:
        said += f": {reason_words(move.reason, move.value, move.currency)}"
    return said if move.score is None else f"{said}. Score {whole(move.score)}"


def _became(move: StageChanged) -> str:
    if move.reason == Reason.new_cycle:
        return f"Began cycle {move.cycle}"
    came_down = DEPTH.get(Stage(move.from_), 0) > DEPTH.get(Stage(move.to), 10) if move.from_ else False
    return (_BACK_TO if came_down else _BECAME).get(move.to, f"Came to {move.to}")


@_tells(ScoreChanged)
def _score(score: ScoreChanged) -> str:
    said = f"Score {whole(score.score)}" + (f" ({score.temperature})" if score.temperature else "")
    change = 0.0 if score.previous_score is None else round(score.score, 1) - round(score.previous_score, 1)
    said += f", {signed(change)}" if change else ""
    # What counts most does not explain a fall.
    joined = "; what still counts most: " if change < 0 else ": "
    return said + joined + points(score.top_reasons) if score.top_reasons else said


def _channel(channel: str) -> str:
    return {"email": "Mail", "sms": "Text message"}.get(channel, words(channel) or "Mail")


@_tells(nurture.Enrolled)
def _enrolled(one: nurture.Enrolled) -> str:
    return f"Began the journey '{one.journey}'"


@_tells(nurture.Sent)
def _sent(one: nurture.Sent) -> str:
    return f"{_channel(one.channel)} '{one.step}' sent"


@_tells(nurture.Deferred)
def _deferred(one: nurture.Deferred) -> str:
    put_off = f"put off until {moment(one.until)}" if one.until else "not sent"
    return f"{_channel(one.channel)} '{one.step}' {put_off}{because(one.reason)}"


@_tells(nurture.Opened)
def _opened(one: nurture.Opened) -> str:
    return f"Opened the mail '{one.step}'"


@_tells(nurture.Clicked)
def _clicked(one: nurture.Clicked) -> str:
    return f"Clicked in the mail '{one.step}'" + (f": {one.link}" if one.link else "")


@_tells(nurture.Bounced)
def _bounced(one: nurture.Bounced) -> str:
    came_back = "came back for good" if one.permanent else "came back for now"
    return f"{_channel(one.channel)} '{one.step}' {came_back}{because(one.reason)}"


@_tells(nurture.Unsubscribed)
def _unsubscribed(one: nurture.Unsubscribed) -> str:
    return f"Unsubscribed from {one.purpose.replace('_', ' ')}"


@_tells(nurture.Exited)
def _exited(one: nurture.Exited) -> str:
    return f"Left the journey '{one.journey}'{because(one.reason)}"


@_tells(handover.Offered)
def _offered(one: handover.Offered) -> str:
    until = f", to answer by {moment(one.due_at)}" if one.due_at else ""
    again = f" (attempt {one.attempt})" if one.attempt > 1 else ""
    return f"Offered to a rep{again}{until}"


@_tells(handover.Accepted)
def _accepted(_one: handover.Accepted) -> str:
    return "A rep took the lead"


@_tells(handover.Returned)
def _returned(one: handover.Returned) -> str:
    return f"A rep gave the lead back: {reason_words(one.reason)}"


@_tells(handover.Expired)
def _expired(_one: handover.Expired) -> str:
    return "The offer ran out unanswered"


@_tells(handover.Contacted)
def _contacted(one: handover.Contacted) -> str:
    by = f" by {one.channel.replace('_', ' ')}" if one.channel else ""
    return f"Sales made contact{by}{because(one.outcome)}"


@_tells(handover.OpportunityOpened)
def _opened_deal(one: handover.OpportunityOpened) -> str:
    return "A deal was opened" + worth(one.value, one.currency, ", worth ")


@_tells(handover.Won)
def _won(one: handover.Won) -> str:
    return "The deal was won" + worth(one.value, one.currency, ", worth ")


@_tells(handover.Lost)
def _lost(one: handover.Lost) -> str:
    return f"The deal was lost: {reason_words(one.reason)}"


@_tells(handover.Disqualified)
def _disqualified(one: handover.Disqualified) -> str:
    return f"Sales found this not to be a lead: {reason_words(one.reason)}"


@_tells(handover.Fulfilled)
def _fulfilled(_one: handover.Fulfilled) -> str:
    return "The order was fulfilled"


@_tells(handover.Paid)
def _paid(one: handover.Paid) -> str:
    return "The order was paid" + worth(one.value, one.currency, ": ")


@_tells(handover.Learned)
def _learned(one: handover.Learned) -> str:
    how = f" ({one.evidence.replace('_', ' ')})" if one.evidence else ""
    return f"Learned about {one.about.replace('_', ' ')}: {one.answer.replace('_', ' ')}{how}"


@_tells(ErasureDone)
def _erased(one: ErasureDone) -> str:
    return f"{words(one.service)} erased what it held"
