"""What answers look like."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from shared.lifecycle import Stage


class TimelineItem(BaseModel):
    """`at` is when it happened, `recorded` when it was stored."""

    at: datetime
    type: str
    source: str
    summary: str
    recorded: datetime
    event_id: UUID


class Timeline(BaseModel):
    items: list[TimelineItem]
    next: str | None


class StageCount(BaseModel):
    """`leads` reached this stage or a later one, `now` are in it; `conversion` is the share of the stage before."""

    stage: Stage
    leads: int
    now: int
    conversion: float | None


class Group(BaseModel):
    """`folded` keys with the fewest leads stand together in the last group, `others`."""

    key: str
    stages: list[StageCount]
    folded: int = 0


class FlowBack(BaseModel):
    """Leads that went back on the main line, and the word for how."""

    frm: Stage = Field(alias="from")
    to: Stage
    leads: int
    word: str


class Left(BaseModel):
    """Leads beside the main line."""

    disqualified: int
    lost: int
    returned: int


class FunnelAnswer(BaseModel):
    """`as_of` is the moment up to which everything was heard."""

    as_of: datetime
    seconds_behind: float
    stages: list[StageCount]
    groups: list[Group]
    back: list[FlowBack]
    left: Left


class Days(BaseModel):
    """From the first interest, or the start of the cycle, to the purchase. Below 0 where the purchase was earlier."""

    p10: float
    median: float
    p75: float
    p90: float


class Cohort(BaseModel):
    """`conversion` is the share of `leads` that bought, None of nobody; `days` None where nobody did."""

    key: str
    leads: int
    customers: int
    conversion: float | None
    days: Days | None


class LeadTimes(BaseModel):
    """`as_of` is the moment up to which everything was heard."""

    as_of: datetime
    seconds_behind: float
    total: Cohort
    groups: list[Cohort]


class LeadItem(BaseModel):
    lead_id: UUID
    name: str
    company: str
    email: str
    stage: Stage
    cycle: int
    score: float | None
    temperature: str
    site: str
    source: str
    channel: str
    test: bool
    created_at: datetime | None
    moved_at: datetime | None


class LeadPage(BaseModel):
    items: list[LeadItem]
    next: str | None


class StageMove(BaseModel):
    to: Stage
    reason: str = Field(min_length=1, max_length=60)
