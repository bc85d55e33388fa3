"""A journey: for whom it is, what ends it, and the mails it consists of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto


class Delivery(StrEnum):
    """What to do about a mail of which nobody knows whether it was accepted.

    `at_most_once` leaves it to a person: better one mail too few. `at_least_once` sends it again under the same
    Message-ID: better one too many.
    """

    at_most_once = auto()
    at_least_once = auto()


@dataclass(frozen=True, slots=True)
class MailStep:
    """A mail, sent `after` the step before it is done, the first one after the lead entered.

    Its words are those of the template `name`; `subject` may hold the same variables.
    """

    name: str
    subject: str
    after: timedelta = timedelta(0)
    delivery: Delivery = Delivery.at_most_once


@dataclass(frozen=True, slots=True)
class Journey:
    """`enters` and `exits` are stages: a lead that comes into one of the first enters, into one of the last leaves."""

    name: str
    version: int
    purpose: str
    enters: frozenset[str]
    exits: frozenset[str]
    mails: tuple[MailStep, ...]

    def mail(self, name: str) -> MailStep | None:
        return next((mail for mail in self.mails if mail.name == name), None)

    def following(self, name: str) -> MailStep | None:
        """The mail after the named one; None after the last, and after one that the journey no longer has."""
        names = [mail.name for mail in self.mails]
        place = names.index(name) + 1 if name in names else len(names)
        return self.mails[place] if place < len(names) else None

    def takes(self, frm: str | None, to: str, asked_for: str) -> bool:
        """Whether a stage change brings a lead in: it came from elsewhere, and did not ask to talk to sales at once.

        A lead that moves about between the entry stages is where it was; what it could have entered is decided.
        """
        return to in self.enters and frm not in self.enters and not asked_for


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A lead's way through one journey in one cycle. `step` is the mail it is at, or waits for until `waits_until`.

    Without `entered_at` it stands before the journey: whether it may enter is decided when its wait is over. `trace` is
    the trace of what brought it here.
    """

    journey: str
    version: int
    cycle: int
    step: str
    trace: str = ""
    entered_at: datetime | None = None
    waits_until: datetime | None = None
    ended_at: datetime | None = None
    ended_because: str = ""

    @property
    def active(self) -> bool:
        return self.ended_at is None
