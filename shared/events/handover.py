"""Said by handover: who was asked, what they answered, and what became of the lead."""

from __future__ import annotations

from typing import ClassVar

from shared.events.envelope import Event
from shared.events.topics import Topic


class _OfRep(Event, frozen=True, kw_only=True):
    """`rep` is the rep's id, never a name. `cycle` is the lead's cycle the fact belongs to."""

    topic: ClassVar[Topic] = Topic.HANDOVER

    rep: str = ""
    cycle: int = 1


class Offered(_OfRep, frozen=True, kw_only=True):
    """A named rep was asked. `due_at` (RFC 3339) is when the offer runs out; empty for the fallback owner."""

    offer_id: str
    due_at: str = ""
    attempt: int = 1
    route: str = ""
    why: str = ""


class Accepted(_OfRep, frozen=True, kw_only=True):
    offer_id: str = ""


class Returned(_OfRep, frozen=True, kw_only=True):
    reason: str
    offer_id: str = ""
    note_length: int = 0


class Expired(_OfRep, frozen=True, kw_only=True):
    offer_id: str


class Contacted(_OfRep, frozen=True, kw_only=True):
    channel: str = ""
    outcome: str = ""


class _OfDeal(_OfRep, frozen=True, kw_only=True):
    value: str = ""
    currency: str = ""


class OpportunityOpened(_OfDeal, frozen=True, kw_only=True):
    """There is a deal, and perhaps a figure for it."""


class Won(_OfDeal, frozen=True, kw_only=True):
    """The lead bought."""


class Lost(_OfRep, frozen=True, kw_only=True):
    reason: str


class Disqualified(_OfRep, frozen=True, kw_only=True):
    reason: str


class Fulfilled(_OfRep, frozen=True, kw_only=True):
    """What was bought is delivered."""


class Paid(_OfDeal, frozen=True, kw_only=True):
    """What was bought is paid for."""


class Learned(_OfRep, frozen=True, kw_only=True):
    """What a call taught about the lead: one BANT answer, with how it is known."""

    about: str
    answer: str
    evidence: str = ""
