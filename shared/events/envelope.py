"""An event as it is stored and carried: what happened, and the attributes every event has (CloudEvents 1.0)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

import msgspec

from shared.events.topics import Topic

SPEC_VERSION = "1.0"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. Subclasses name their topic; fields may only be added, optional and defaulted.

    The type is told by topic and name: `OpportunityOpened` of `leads.handover` is
    `io.leadline.handover.opportunity_opened.v1`, and `StageChanged` of `leads.stage` `io.leadline.stage.changed.v1`.
    """

    topic: ClassVar[Topic]
    type: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if not cls.__name__.startswith("_"):
            words = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
            cls.type = f"io.leadline.{cls.topic.word}.{words.removeprefix(f'{cls.topic.word}_')}.v1"


E_co = TypeVar("E_co", bound=Event, covariant=True)


class Actor(msgspec.Struct, frozen=True):
    """Who acted. `kind` is `lead`, `person`, `rule`, `timer`, `import` or `service`; `id` never a name or address."""

    kind: str
    id: str = ""


class Attributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes that every event carries beside its identity; names as on the wire.

    `time` is when it happened, `recordedtime` when we stored it; both UTC.
    """

    source: str
    time: datetime
    recordedtime: datetime
    site: str = ""
    product: str = ""
    test: bool = False
    history: bool = False
    actorkind: str = "service"
    actorid: str = ""
    cardversion: int = 0
    traceparent: str = ""
    causationid: str = ""


class Envelope(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """One event of one lead. `seq` counts from 1 without gaps per (topic, lead); 0 on topics without a count."""

    id: UUID
    lead_id: UUID
    seq: int
    attributes: Attributes
    data: E_co

    @property
    def topic(self) -> Topic:
        return type(self.data).topic

    @property
    def type(self) -> str:
        return type(self.data).type

    @property
    def time(self) -> datetime:
        return self.attributes.time

    @property
    def history(self) -> bool:
        return self.attributes.history
