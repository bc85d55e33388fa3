"""Who the lead is to nurture, and whether a mail for a purpose may go to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

MARKETING = "marketing"

# Forms name a permission for marketing by mail in either way; it is one permission.
_SAME_PURPOSE = {"marketing_email": MARKETING}


@dataclass(frozen=True, slots=True)
class Consent:
    """A permission for one purpose as last given or taken back."""

    granted: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address is not to be written to for one purpose, since that moment."""

    since: datetime
    reason: str

    def lifted_by(self, consent: Consent | None) -> bool:
        """Only a consent given later lifts it; one of the same moment does not."""
        return consent is not None and consent.granted and consent.at > self.since


@dataclass(frozen=True, slots=True)
class Person:
    """What is needed of the card. `consents` is by purpose."""

    email: str = ""
    name: str = ""
    language: str = ""
    consents: Mapping[str, Consent] = field(default_factory=dict[str, Consent])

    def refusal(self, purpose: str, suppression: Suppression | None) -> str:
        """Why this person may not be written to for that purpose; empty when they may.

        `no_address`, `no_consent`, or the reason of the suppression: `unsubscribed`, `bounced`, `do_not_contact`.
        """
        if not self.email:
            return "no_address"
        consent = self.consents.get(purpose)
        if suppression is not None and not suppression.lifted_by(consent):
            return suppression.reason
        return "" if consent is not None and consent.granted else "no_consent"


def by_purpose(said: Iterable[tuple[str, Consent]]) -> dict[str, Consent]:
    """The last word on each purpose, names of the same purpose taken together; at one moment the no counts."""
    last: dict[str, Consent] = {}
    for name, consent in said:
        purpose = _SAME_PURPOSE.get(name, name)
        known = last.get(purpose)
        if known is None or (consent.at, not consent.granted) > (known.at, not known.granted):
            last[purpose] = consent
    return last
