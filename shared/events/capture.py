"""Said by capture: the lead's card, what leads do, and what a day brought to a site."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from shared.events.envelope import Event
from shared.events.topics import Topic


class ContactPoint(msgspec.Struct, frozen=True):
    """A way to reach the lead. `value` is normalised: a lower-case address, or E.164."""

    kind: Literal["email", "phone"]
    value: str
    verified: bool = False


class Consent(msgspec.Struct, frozen=True):
    """A permission for one purpose as last given or taken back, with the words that were shown."""

    granted: bool
    at: datetime
    text: str = ""
    source: str = ""


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """Where a lead came from at one moment."""

    channel: str = ""
    medium: str = ""
    source: str = ""
    campaign: str = ""
    url: str = ""
    referrer: str = ""
    click_ids: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    conversion_point: str = ""
    at: datetime | None = None


class CardChanged(Event, frozen=True, kw_only=True):
    """The lead's record as it now is. The only event with personal data; versions may be skipped, never go back."""

    topic: ClassVar[Topic] = Topic.CARD

    version: int
    kind: Literal["person", "organization"] = "person"
    name: str = ""
    company: str = ""
    contact_points: list[ContactPoint] = msgspec.field(default_factory=list[ContactPoint])
    answers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    consent: dict[str, Consent] = msgspec.field(default_factory=dict[str, Consent])
    first_touch: Touch = msgspec.field(default_factory=Touch)
    last_touch: Touch = msgspec.field(default_factory=Touch)
    message: str = ""
    language: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def reach(self, kind: str) -> str:
        """The first contact point of that kind, or an empty string."""
        return next((point.value for point in self.contact_points if point.kind == kind), "")


class CardErased(Event, frozen=True, kw_only=True):
    """The tombstone of a card: whoever holds something of this lead removes it and says so on `leads.privacy`."""

    topic: ClassVar[Topic] = Topic.CARD

    erasure_id: str = ""


class ActivityRecorded(Event, frozen=True, kw_only=True):
    """Something a lead did. No free text: a message is told by its length, a URL is cut to its path."""

    topic: ClassVar[Topic] = Topic.ACTIVITY

    activity: str
    activity_id: str = ""
    asset: str = ""
    path: str = ""
    conversion_point: str = ""
    channel: str = ""
    medium: str = ""
    source: str = ""
    campaign: str = ""
    text_length: int = 0
    duration_seconds: int | None = None
    outcome: str = ""
    reason: str = ""
    value: str = ""
    currency: str = ""
    contact_valid: bool | None = None
    judge: bool = False


class DayCounted(Event, frozen=True, kw_only=True):
    """What a day brought to a site, or cost it, by source and conversion point; figures are the day's totals."""

    topic: ClassVar[Topic] = Topic.MARKET

    day: str
    what: Literal["visits", "form_views", "spend"]
    source: str = ""
    conversion_point: str = ""
    count: int = 0
    amount: str = ""
    currency: str = ""
