"""What somebody sent, understood: contact points in normal form, text cleaned, times and channel settled."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from shared.events.capture import Touch


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `path` is cut to what may be said in an event; `text` stays in capture's own tables."""

    type: str
    at: datetime
    asset: str = ""
    path: str = ""
    conversion_point: str = ""
    value: str = ""
    currency: str = ""
    duration_seconds: int | None = None
    outcome: str = ""
    reason: str = ""
    text: str = ""
    judge: bool = False


class Visit(msgspec.Struct, frozen=True):
    """Something somebody did, and how they came to it."""

    activity_id: UUID
    activity: Activity
    touch: Touch


class Permission(msgspec.Struct, frozen=True):
    """A consent as given or refused, with the words that were shown; `at` when it was not said with the rest."""

    granted: bool
    text: str = ""
    at: datetime | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One post of a form, a call, a row of a file: who, what they said, what they did and how they came.

    `site` is the site's name, `policy` its registration policy. `sender` says in what part somebody acted: `lead`,
    `person` or `import`. `ip_prefix` is kept with the proof of consent and nowhere else.
    """

    submission_id: UUID
    activity: Activity
    touch: Touch
    site: str = ""
    policy: str = "contact_valid"
    email: str = ""
    phone: str = ""
    name: str = ""
    company: str = ""
    kind: str = "person"
    answers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    message: str = ""
    language: str = ""
    consent: dict[str, Permission] = msgspec.field(default_factory=dict[str, Permission])
    visitor_id: str = ""
    product: str = ""
    trap: str = ""
    test: bool = False
    history: bool = False
    sender: str = "lead"
    ip_prefix: str = ""
