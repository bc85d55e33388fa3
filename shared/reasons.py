"""The reason codes with which leads enter stages, and the sets of them that people may choose from.

`shared.lifecycle` says which of them fits which edge.
"""

from __future__ import annotations

from enum import StrEnum, auto


class Reason(StrEnum):
    """Why a lead entered a stage. The code with its underscores as blanks is its label for people."""

    # Possible on every edge: a person with the right to it decided, or another system's past is brought in.
    manual = auto()
    imported = auto()
    # Somebody is there.
    fits_profile = auto()
    first_interest = auto()
    # Somebody is real.
    no_registration_needed = auto()
    contact_valid = auto()
    email_confirmed = auto()
    code_confirmed = auto()
    spoken_to = auto()
    # Somebody is worth more, or less, attention than before.
    content_requested = auto()
    score_reached = auto()
    score_fell = auto()
    fit_and_engagement = auto()
    high_intent = auto()
    bant_confirmed = auto()
    rules_changed = auto()
    demo_requested = auto()
    contact_requested = auto()
    inbound_call = auto()
    # Sales works.
    offered = auto()
    expired = auto()
    reassigned = auto()
    accepted = auto()
    deal_opened = auto()
    won = auto()
    purchase = auto()
    # It goes no further, for now or for good.
    bad_timing = auto()
    competitor = auto()
    do_not_contact = auto()
    duplicate = auto()
    no_authority = auto()
    no_budget = auto()
    no_decision = auto()
    no_need = auto()
    no_value = auto()
    not_icp = auto()
    not_interested = auto()
    not_ready = auto()
    spam = auto()
    test = auto()
    too_expensive = auto()
    trial_not_bought = auto()
    unconfirmed = auto()
    unreachable = auto()
    wrong_contact = auto()
    # Round again.
    hold_ended = auto()
    new_cycle = auto()
    new_interest = auto()
    released = auto()
    # Two records, one person.
    merged = auto()
    unmerged = auto()


R = Reason

RETURN_REASONS = frozenset({
    R.bad_timing, R.no_authority, R.no_budget, R.no_need, R.no_value, R.not_interested, R.not_ready, R.unreachable,
    R.wrong_contact,
})  # fmt: skip
LOST_REASONS = frozenset({
    R.bad_timing, R.competitor, R.no_authority, R.no_budget, R.no_decision, R.no_need, R.no_value, R.not_interested,
    R.too_expensive, R.trial_not_bought, R.unreachable,
})  # fmt: skip
DISQUALIFY_REASONS = frozenset({
    R.competitor, R.do_not_contact, R.duplicate, R.no_authority, R.no_budget, R.no_need, R.no_value, R.not_icp,
    R.not_interested, R.spam, R.test, R.trial_not_bought, R.unreachable, R.wrong_contact,
})  # fmt: skip
"""Good for every stage that may be disqualified; `unconfirmed` comes to it for captured leads alone."""

FAST_TRACK = frozenset({R.demo_requested, R.contact_requested, R.inbound_call})
"""The person asked to be contacted: sales-ready as soon as registered."""
PROOFS = frozenset({R.no_registration_needed, R.contact_valid, R.email_confirmed, R.code_confirmed, R.spoken_to})
"""What can make a lead count as real, by the registration policy of its source."""
