"""What the timeline and the list of stage changes say of each event, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from services.insights.domain.note import CardNote
from shared.events import capture, handover, nurture
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.codec import EVENTS
from shared.events.envelope import Event
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged, TopReason
from shared.lifecycle import Reason, Stage
from shared.pages.figures import figure, money, signed, whole

N = TypeVar("N", bound=msgspec.Struct)

SAYS: dict[type[Event], Callable[[Any], str]] = {}
"""By event, what is said of it. A card is told by its note."""

NOT_TOLD = frozenset({capture.CardErased, capture.DayCounted})
"""Events that no timeline holds: of an erased lead there is none, and a day is not a lead's."""

REASONS: Mapping[str, str] = {
    Reason.manual: "decided by a person",
    Reason.imported: "brought in from elsewhere",
    Reason.fits_profile: "fits the profile",
    Reason.first_interest: "showed interest for the first time",
    Reason.no_registration_needed: "this source needs no proof",
    Reason.contact_valid: "left an address that works",
    Reason.email_confirmed: "confirmed the mail address",
    Reason.code_confirmed: "confirmed by a code",
    Reason.spoken_to: "was spoken to",
    Reason.content_requested: "asked for information",
    Reason.score_reached: "reached the score",
    Reason.score_fell: "has been quiet",
    Reason.fit_and_engagement: "fits and is engaged",
    Reason.high_intent: "means to buy",
    Reason.bant_confirmed: "budget, authority, need and timeline are known",
    Reason.rules_changed: "the scoring rules changed",
    Reason.demo_requested: "asked for a demo",
    Reason.contact_requested: "asked to be contacted",
    Reason.inbound_call: "called us",
    Reason.offered: "offered to a rep",
    Reason.expired: "the offer ran out",
    Reason.reassigned: "given to somebody else",
    Reason.accepted: "a rep took it",
    Reason.deal_opened: "a deal was opened",
    Reason.won: "the deal was won",
    Reason.purchase: "bought",
    Reason.bad_timing: "the time is wrong",
    Reason.competitor: "went to a competitor",
    Reason.do_not_contact: "does not want to be contacted",
    Reason.duplicate: "is known under another name",
    Reason.no_authority: "cannot decide",
    Reason.no_budget: "has no budget",
    Reason.no_decision: "nobody decided",
    Reason.no_need: "has no need",
    Reason.no_value: "saw no value",
    Reason.not_icp: "does not fit the customer profile",
    Reason.not_interested: "is not interested",
    Reason.not_ready: "is not ready",
    Reason.spam: "is spam",
    Reason.test: "is a test",
    Reason.too_expensive: "found it too expensive",
    Reason.trial_not_bought: "tried and did not buy",
    Reason.unconfirmed: "nobody confirmed",
    Reason.unreachable: "could not be reached",
    Reason.wrong_contact: "is the wrong contact",
    Reason.hold_ended: "the waiting time is over",
    Reason.new_cycle: "a customer came again",
    Reason.new_interest: "showed interest again",
    Reason.released: "was let in again",
    Reason.merged: "is the same person as another lead",
    Reason.unmerged: "is a person of its own after all",
}

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
    if event is None:  # kept by a newer version that was taken back
        _, fact = type_.removeprefix("io.leadline.").split(".")[:2]
        return words(fact)
    shape: type[msgspec.Struct] = CardNote if event is CardChanged else event
    return SAYS[event](msgspec.convert(data, shape))


def reason(code: str, value: str = "", currency: str = "") -> str:
    """Why a lead moved, as a sentence of its own: `Asked for a demo`, `Bought for € 18,400`."""
    said = REASONS.get(code, code.replace("_", " "))
    return _capital(said + (_worth(value, currency, " for ") if code in (Reason.purchase, Reason.won) else ""))


def words(code: str) -> str:
    """A code as words: `email_reply` is `Email reply`."""
    return _capital(code.replace("_", " "))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    """For the middle of a sentence; `BANT is known` and `A/B` keep their capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _worth(value: str, currency: str, before: str) -> str:
    try:
        return before + money(Decimal(value), currency) if value else ""
    except InvalidOperation:
        return ""


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def _points(reasons: Sequence[TopReason]) -> str:
    return ", ".join(f"{signed(one.points)} {_small(one.reason or one.rule.replace('_', ' '))}" for one in reasons)


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
        known.append("an answer" if answers == 1 else f"{answers} answers")
    parts = [f"Left {_listed(known)}"] if known else []
    changed = [_FIELDS[name] for name in note.changed if name in _FIELDS]
    parts += [f"changed the {_listed(changed)}"] if changed else []
    gone = [_FIELDS[name] for name in note.gone if name in _FIELDS]
    parts += [f"no longer has the {_listed(gone)}"] if gone else []
    parts += [f"said yes to {purpose.replace('_', ' ')}" for purpose in note.said_yes]
    parts += [f"said no to {purpose.replace('_', ' ')}" for purpose in note.said_no]
    return _capital("; ".join(parts)) or ("A card was opened" if note.first else "The card was written anew")


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
            return said + _worth(did.value, did.currency, " for ")
        case "flagged":
            return f"{said} as {REASONS.get(did.reason, did.reason.replace('_', ' ')).removeprefix('is ')}"
        case "webinar_registered" | "webinar_attended" | "trial_started":
            said += f" {did.asset}" if did.asset else ""
        case _:
            what = did.conversion_point or did.asset
            said += f": {what}" if what else ""
    said += f", {_minutes(did.duration_seconds)}" if did.duration_seconds is not None else ""
    said += f", {figure(did.text_length)} characters" if did.text_length else ""
    return said + (f" ({did.outcome.replace('_', ' ')})" if did.outcome else "")


@_tells(StageChanged)
def _stage(move: StageChanged) -> str:
    became = _BECAME.get(move.to, f"Came to {move.to}")
    if move.reason == Reason.new_cycle:
        became = f"Began cycle {move.cycle}"
    said = f"{became}: {_small(reason(move.reason, move.value, move.currency))}"
    return said if move.score is None else f"{said}. Score {whole(move.score)}"


@_tells(ScoreChanged)
def _score(score: ScoreChanged) -> str:
    said = f"Score {whole(score.score)}" + (f" ({score.temperature})" if score.temperature else "")
    if score.previous_score is not None and round(score.previous_score, 1) != round(score.score, 1):
        said += f", {signed(score.score - score.previous_score)}"
    return f"{said}: {_points(score.top_reasons)}" if score.top_reasons else said


def _channel(channel: str) -> str:
    return {"email": "Mail", "sms": "Text message"}.get(channel, words(channel) or "Mail")


def _because(code: str) -> str:
    return f": {code.replace('_', ' ')}" if code else ""


@_tells(nurture.Enrolled)
def _enrolled(one: nurture.Enrolled) -> str:
    return f"Began the journey '{one.journey}'"


@_tells(nurture.Sent)
def _sent(one: nurture.Sent) -> str:
    return f"{_channel(one.channel)} '{one.step}' sent"


@_tells(nurture.Deferred)
def _deferred(one: nurture.Deferred) -> str:
    put_off = f"put off until {_moment(one.until)}" if one.until else "not sent"
    return f"{_channel(one.channel)} '{one.step}' {put_off}{_because(one.reason)}"


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


@_tells(nurture.Opened)
def _opened(one: nurture.Opened) -> str:
    return f"Opened the mail '{one.step}'"


@_tells(nurture.Clicked)
def _clicked(one: nurture.Clicked) -> str:
    return f"Clicked in the mail '{one.step}'" + (f": {one.link}" if one.link else "")


@_tells(nurture.Bounced)
def _bounced(one: nurture.Bounced) -> str:
    came_back = "came back for good" if one.permanent else "came back for now"
    return f"{_channel(one.channel)} '{one.step}' {came_back}{_because(one.reason)}"


@_tells(nurture.Unsubscribed)
def _unsubscribed(one: nurture.Unsubscribed) -> str:
    return f"Unsubscribed from {one.purpose.replace('_', ' ')}"


@_tells(nurture.Exited)
def _exited(one: nurture.Exited) -> str:
    return f"Left the journey '{one.journey}'{_because(one.reason)}"


@_tells(handover.Offered)
def _offered(one: handover.Offered) -> str:
    until = f", to answer by {_moment(one.due_at)}" if one.due_at else ""
    again = f" (attempt {one.attempt})" if one.attempt > 1 else ""
    return f"Offered to a rep{again}{until}"


@_tells(handover.Accepted)
def _accepted(_one: handover.Accepted) -> str:
    return "A rep took the lead"


@_tells(handover.Returned)
def _returned(one: handover.Returned) -> str:
    return f"A rep gave the lead back: {REASONS.get(one.reason, one.reason.replace('_', ' '))}"


@_tells(handover.Expired)
def _expired(_one: handover.Expired) -> str:
    return "The offer ran out unanswered"


@_tells(handover.Contacted)
def _contacted(one: handover.Contacted) -> str:
    by = f" by {one.channel.replace('_', ' ')}" if one.channel else ""
    return f"Sales made contact{by}{_because(one.outcome)}"


@_tells(handover.OpportunityOpened)
def _opened_deal(one: handover.OpportunityOpened) -> str:
    return "A deal was opened" + _worth(one.value, one.currency, ", worth ")


@_tells(handover.Won)
def _won(one: handover.Won) -> str:
    return "The deal was won" + _worth(one.value, one.currency, ", worth ")


@_tells(handover.Lost)
def _lost(one: handover.Lost) -> str:
    return f"The deal was lost: {REASONS.get(one.reason, one.reason.replace('_', ' '))}"


@_tells(handover.Disqualified)
def _disqualified(one: handover.Disqualified) -> str:
    return f"Sales found this not to be a lead: {REASONS.get(one.reason, one.reason.replace('_', ' '))}"


@_tells(handover.Fulfilled)
def _fulfilled(_one: handover.Fulfilled) -> str:
    return "The order was fulfilled"


@_tells(handover.Paid)
def _paid(one: handover.Paid) -> str:
    return "The order was paid" + _worth(one.value, one.currency, ": ")


@_tells(handover.Learned)
def _learned(one: handover.Learned) -> str:
    how = f" ({one.evidence.replace('_', ' ')})" if one.evidence else ""
    return f"Learned about {one.about.replace('_', ' ')}: {one.answer.replace('_', ' ')}{how}"


@_tells(ErasureDone)
def _erased(one: ErasureDone) -> str:
    return f"{words(one.service)} erased what it held"
