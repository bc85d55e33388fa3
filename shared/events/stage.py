"""Said by whoever owns the lead's stage."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.envelope import Actor, Event
from shared.events.topics import Topic


class TopReason(msgspec.Struct, frozen=True):
    """One of the strongest entries of a score: the rule's code and its points, rounded to 0.1."""

    rule: str
    points: float
    reason: str = ""


class StageChanged(Event, frozen=True, kw_only=True):
    """A lead moved. It alone suffices to take the lead over: no other event needs to be read first.

    `from_` is empty for the birth of a lead. `rule` names the rule or route that decided, `actor` whoever acted.
    """

    topic: ClassVar[Topic] = Topic.STAGE

    from_: str | None = msgspec.field(default=None, name="from")
    to: str
    seq: int
    cycle: int
    reason: str
    rule: str = ""
    rule_version: int = 0
    score: float | None = None
    temperature: str = ""
    top_reasons: list[TopReason] = msgspec.field(default_factory=list[TopReason])
    actor: Actor = Actor("service")
    product: str = ""
    # What a service must know to take the lead over although the fact itself was said on another topic.
    asked_for: str = ""
    value: str = ""
    currency: str = ""
