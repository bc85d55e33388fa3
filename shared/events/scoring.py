"""Said by scoring."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.envelope import Event
from shared.events.stage import TopReason
from shared.events.topics import Topic


class ScoreChanged(Event, frozen=True, kw_only=True):
    """The rounded score, the fit grade or the temperature changed. Points are rounded to 0.1."""

    topic: ClassVar[Topic] = Topic.SCORE

    score: float
    fit: float
    engagement: float
    grade: str
    temperature: str
    cycle: int
    rules_version: int
    previous_score: float | None = None
    top_reasons: list[TopReason] = msgspec.field(default_factory=list[TopReason])
