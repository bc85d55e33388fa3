"""Said by nurture: where a lead is in a journey, and what became of each touch."""

from __future__ import annotations

from typing import ClassVar

from shared.events.envelope import Event
from shared.events.topics import Topic


class _OfNurture(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.NURTURE


class Enrolled(_OfNurture, frozen=True, kw_only=True):
    journey: str
    journey_version: int = 1
    cycle: int = 1


class _Touch(_OfNurture, frozen=True, kw_only=True):
    journey: str
    step: str
    channel: str = "email"
    touch_id: str = ""
    reason: str = ""


class Sent(_Touch, frozen=True, kw_only=True):
    """The mail server took the touch."""


class Deferred(_Touch, frozen=True, kw_only=True):
    """A touch was not sent now; `reason` says why, `until` (RFC 3339) when it is tried again, empty for never."""

    until: str = ""


class Opened(_Touch, frozen=True, kw_only=True):
    """The lead, or a program on its behalf, loaded the mail."""


class Clicked(_Touch, frozen=True, kw_only=True):
    link: str = ""


class Bounced(_Touch, frozen=True, kw_only=True):
    permanent: bool = True


class Unsubscribed(_OfNurture, frozen=True, kw_only=True):
    purpose: str = "marketing_email"
    journey: str = ""
    step: str = ""
    by: str = "link"


class Exited(_OfNurture, frozen=True, kw_only=True):
    journey: str
    reason: str
    cycle: int = 1
