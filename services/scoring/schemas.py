"""What scoring answers over HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.lifecycle import Stage


class ScoreEntry(BaseModel):
    """Points as they are worth at the moment asked about."""

    points: float
    rule: str
    rule_version: int
    event_id: UUID
    at: datetime
    reason: str
    kind: str
    points_given: float
    half_life_days: float | None


class Score(BaseModel):
    """A lead's score at a moment. The points of `entries` add up to `score` exactly."""

    lead_id: UUID
    as_of: datetime
    score: float
    fit: float
    engagement: float
    grade: str
    temperature: str
    stage: Stage | None
    cycle: int
    rules_version: int
    entries: list[ScoreEntry]


class StageWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: Stage
    reason: str = Field(min_length=1, max_length=64)


class StageNow(BaseModel):
    lead_id: UUID
    stage: Stage
    cycle: int
    reason: str
