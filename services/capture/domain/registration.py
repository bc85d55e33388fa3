"""When a captured lead counts as real, by the registration policy of the site it came from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, get_args

from disposable_email_domains import blocklist

from shared.events.capture import ContactPoint
from shared.reasons import DISQUALIFY_REASONS, Reason

Policy = Literal["none", "contact_valid"]
POLICIES: tuple[str, ...] = get_args(Policy)

UNCONFIRMED_AFTER = timedelta(days=30)
"""A lead that nobody confirms by then is disqualified."""

_ASKED_FOR = {
    "demo_requested": Reason.demo_requested,
    "contact_requested": Reason.contact_requested,
    "call": Reason.inbound_call,
}


def contact_valid(points: Iterable[ContactPoint]) -> bool:
    """Whether somebody can be reached: a telephone number, or an address whose mailbox was not made for an hour.

    The grammar of both was checked when they came in; no DNS is asked.
    """
    return any(point.kind == "phone" or not _disposable(point.value.rpartition("@")[2]) for point in points)


def proof(policy: str, valid: bool) -> Reason | None:
    """Why the lead counts as real; None while it does not. `valid` is the answer of `contact_valid`."""
    if policy == "none":
        return Reason.no_registration_needed
    return Reason.contact_valid if valid else None


def asked_for(activity: str) -> str:
    """The reason code by which somebody asked to be contacted, empty when this activity is no such wish."""
    return str(_ASKED_FOR.get(activity, ""))


def why_disqualified(flag: str) -> Reason:
    """The reason code for what a lead was flagged as."""
    return Reason(flag) if flag in DISQUALIFY_REASONS else Reason.spam


def _disposable(domain: str) -> bool:
    # Providers of throw-away mailboxes hand out subdomains of theirs as well.
    while "." in domain:
        if domain in blocklist:
            return True
        domain = domain.partition(".")[2]
    return False
