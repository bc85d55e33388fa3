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

    type: ClassVar[str] = "io.leadline.handover.offered.v1"

    offer_id: str
    due_at: str = ""
    attempt: int = 1
    route: str = ""
    why: str = ""


class Accepted(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.accepted.v1"

    offer_id: str = ""


class Returned(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.returned.v1"

    reason: str
    offer_id: str = ""
    note_length: int = 0


class Expired(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.expired.v1"

    offer_id: str


class Contacted(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.contacted.v1"

    channel: str = ""
    outcome: str = ""


class OpportunityOpened(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.opportunity_opened.v1"

    value: str = ""
    currency: str = ""


class Won(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.won.v1"

    value: str = ""
    currency: str = ""


class Lost(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.lost.v1"

    reason: str


class Disqualified(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.disqualified.v1"

    reason: str


class Fulfilled(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.fulfilled.v1"


class Paid(_OfRep, frozen=True, kw_only=True):
    type: ClassVar[str] = "io.leadline.handover.paid.v1"

    value: str = ""
    currency: str = ""


class Learned(_OfRep, frozen=True, kw_only=True):
    """What a call taught about the lead: one BANT answer, with how it is known."""

    type: ClassVar[str] = "io.leadline.handover.learned.v1"

    about: str
    answer: str
    evidence: str = ""
