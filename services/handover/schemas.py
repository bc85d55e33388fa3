"""What requests and answers look like."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class WorklistItem(BaseModel):
    lead_id: UUID
    score: float | None
    temperature: str
    stage: str
    reason: str
    owner: UUID | None
    owner_name: str | None
    due_at: datetime | None
    since: datetime | None
    waits_for: str
    name: str
    company: str


class Worklist(BaseModel):
    items: list[WorklistItem]
    next: str | None
