"""Said by every service: an erasure is done here."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.envelope import Event
from shared.events.topics import Topic


class ErasureDone(Event, frozen=True, kw_only=True):
    """`removed` counts deleted rows by table. Its identity is (erasure, service): said twice it changes nothing."""

    topic: ClassVar[Topic] = Topic.PRIVACY

    erasure_id: str
    service: str
    removed: dict[str, int] = msgspec.field(default_factory=dict[str, int])
