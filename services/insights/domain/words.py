"""Reasons, codes, sums and lengths in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from services.insights.domain.figures import money, signed
from shared.events.stage import TopReason
from shared.reasons import LOST_REASONS, RETURN_REASONS, Reason

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


def reason(code: str, value: str = "", currency: str = "") -> str:
    """Why a lead moved, as a sentence of its own: `Asked for a demo`, `Bought for € 18,400`."""
    return capital(reason_words(code, value, currency))


def reason_words(code: str, value: str = "", currency: str = "") -> str:
    """The same for the end of a sentence: `asked for a demo`."""
    said = REASONS.get(code, code.replace("_", " "))
    return said + worth(value, currency, " for ") if code in (Reason.purchase, Reason.won) else said


def answers_to_choose(currency: str) -> dict[str, object]:
    """What sales may say of a lead: the reasons in words by code, and the currency that is usual."""
    returns, lost = ({code: reason(code) for code in sorted(codes)} for codes in (RETURN_REASONS, LOST_REASONS))
    return {"returns": returns, "lost": lost, "currency": currency}


def words(code: str) -> str:
    """A code as words: `email_reply` is `Email reply`."""
    return capital(code.replace("_", " "))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def small(text: str) -> str:
    """For the middle of a sentence; `BANT is known` and `A/B` keep their capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def worth(value: str, currency: str, before: str) -> str:
    try:
        return before + money(Decimal(value), currency) if value else ""
    except InvalidOperation:
        return ""


def listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def with_article(what: str) -> str:
    """`a name`, `an answer`, `3 answers`."""
    return what if what[0].isdigit() else f"an {what}" if what[0] in "aeio" else f"a {what}"


def minutes(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def points(reasons: Sequence[TopReason]) -> str:
    return ", ".join(f"{signed(one.points)} {small(one.reason or one.rule.replace('_', ' '))}" for one in reasons)


def moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def because(code: str) -> str:
    return f": {code.replace('_', ' ')}" if code else ""
