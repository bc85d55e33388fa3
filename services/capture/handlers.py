"""What happens to a lead when something is submitted for it, when others tell of it, and when nobody confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.capture.domain import card as cards
from services.capture.domain.registration import (
    UNCONFIRMED_AFTER,
    asked_for,
    contact_valid,
    proof,
    why_disqualified,
)
from services.capture.domain.submission import Activity, Submission, Visit
from services.capture.repository import ConsentProof, Note, Record
from shared.events.capture import ActivityRecorded, CardChanged
from shared.events.envelope import Envelope
from shared.events.handover import Learned
from shared.events.nurture import Bounced, Unsubscribed
from shared.events.privacy import ErasureDone
from shared.events.stage import StageChanged
from shared.leads import Lead
from shared.lifecycle import Stage
from shared.reasons import Reason

UNCONFIRMED = "unconfirmed"


def record_submission(lead: Lead[Record], submission: Submission, facts: Sequence[Visit], now: datetime) -> None:
    """A submission of this lead, which it may be the first of: card, activities, and the stages that follow.

    `facts` are its own activity and whatever came to light with it, such as what the same visitor did before.
    """
    standing, old = lead.standing, lead.state.card
    born = standing.stage is None
    standing.site = submission.site or standing.site
    if born:
        standing.test, standing.product = submission.test, submission.product
    card = cards.begin(submission, now) if old is None else cards.amend(old, submission, now)
    card = cards.came_first(card, [fact.touch for fact in facts])
    _keep_card(lead, card)
    lead.state.proofs += _proofs(submission, now)
    if born:
        bought = submission.activity.type == "purchase"
        lead.move(Stage.captured, Reason.purchase if bought else Reason.first_interest)
    _record(lead, facts, submission.policy)


def record_activity(lead: Lead[Record], fact: Visit, policy: str) -> None:
    """Something a known lead did."""
    _record(lead, [fact], policy)


def _record(lead: Lead[Record], facts: Sequence[Visit], policy: str) -> None:
    valid = contact_valid(lead.state.contact_points)
    for fact in facts:
        if fact.activity.text:
            lead.state.notes.append(Note(fact.activity_id, fact.activity.at, fact.activity.text))
        lead.say(_told(fact, valid), time=fact.activity.at)
    if lead.standing.stage is Stage.captured:
        _advance(lead, [fact.activity for fact in facts], policy, valid)


def _told(fact: Visit, valid: bool) -> ActivityRecorded:
    activity, touch = fact.activity, fact.touch
    return ActivityRecorded(
        activity=activity.type,
        activity_id=str(fact.activity_id),
        asset=activity.asset,
        path=activity.path,
        conversion_point=activity.conversion_point,
        channel=touch.channel,
        medium=touch.medium,
        source=touch.source,
        campaign=touch.campaign,
        text_length=len(activity.text),
        duration_seconds=activity.duration_seconds,
        outcome=activity.outcome,
        reason=activity.reason,
        value=activity.value,
        currency=activity.currency,
        contact_valid=valid,
        judge=activity.judge,
    )


def _advance(lead: Lead[Record], activities: Sequence[Activity], policy: str, valid: bool) -> None:
    """A lead of capture's own may be proven real by what it did, or not to be a lead."""
    by_type = {activity.type: activity for activity in reversed(activities)}
    if flagged := by_type.get("flagged"):
        lead.move(Stage.disqualified, why_disqualified(flagged.reason))
    elif bought := by_type.get("purchase"):
        lead.move(Stage.registered, Reason.purchase, time=bought.at, value=bought.value, currency=bought.currency)
    elif reason := proof(policy, valid):
        # Sales is called to nobody who cannot be reached.
        wishes = [wish for activity in activities if valid and (wish := asked_for(activity.type))]
        lead.move(Stage.registered, reason, rule=policy, asked_for=wishes[0] if wishes else "")
    elif UNCONFIRMED not in lead.timers and not lead.cause.history:
        lead.timers[UNCONFIRMED] = lead.cause.time + UNCONFIRMED_AFTER
    if lead.standing.stage is not Stage.captured:
        lead.timers.pop(UNCONFIRMED, None)


def _keep_card(lead: Lead[Record], card: CardChanged) -> None:
    lead.state.card = card
    lead.standing.card_version = card.version
    lead.say(card)


def _proofs(submission: Submission, now: datetime) -> list[ConsentProof]:
    return [
        ConsentProof(
            purpose=purpose,
            granted=said.granted,
            text=said.text,
            site=submission.site,
            source="submission",
            at=said.at or submission.activity.at,
            recorded_at=now,
            submission_id=submission.submission_id,
            ip_prefix=submission.ip_prefix,
        )
        for purpose, said in submission.consent.items()
    ]


def adopt_stage(lead: Lead[Record], event: Envelope[StageChanged], now: datetime) -> None:
    """Keep what other owners say, and stop waiting for a proof once the lead has moved on."""
    lead.state.stages.append(event)
    if lead.standing.stage is not Stage.captured:
        lead.timers.pop(UNCONFIRMED, None)


def take_back_consent(lead: Lead[Record], event: Envelope[Unsubscribed], now: datetime) -> None:
    _withdraw(lead, event.data.purpose, "unsubscribed", event.time, now)


def stop_writing(lead: Lead[Record], event: Envelope[Bounced], now: datetime) -> None:
    """An address that does not exist can be written to no more, whatever was agreed."""
    if event.data.permanent:
        _withdraw(lead, "marketing_email", "bounced", event.time, now)


def _withdraw(lead: Lead[Record], purpose: str, source: str, at: datetime, now: datetime) -> None:
    old = lead.state.card
    if old is None:
        return
    purposes = cards.marketing_purposes(old, purpose)
    changed = cards.with_consent(old, purposes, False, source, at)
    if changed is old:
        return
    _keep_card(lead, changed)
    lead.state.proofs += [
        ConsentProof(p, False, "", lead.standing.site, source, at, now)
        for p in purposes
        if changed.consent[p] is not old.consent.get(p)
    ]


def learn(lead: Lead[Record], event: Envelope[Learned], now: datetime) -> None:
    """What a call taught stands on the card beside what the lead said itself."""
    if lead.state.card is None:
        return
    changed = cards.with_answer(lead.state.card, f"bant.{event.data.about}", event.data.answer, event.time)
    if changed is not lead.state.card:
        _keep_card(lead, changed)


def note_erasure(lead: Lead[Record], event: Envelope[ErasureDone], now: datetime) -> None:
    """Who has forgotten the lead outlives it: the report of the erasure is made of that."""
    lead.state.erasures.append((event.data, event.time))
    lead.outliving = True


def disqualify_unconfirmed(lead: Lead[Record], due: datetime, now: datetime) -> None:
    if lead.standing.stage is Stage.captured:
        lead.move(Stage.disqualified, Reason.unconfirmed)
