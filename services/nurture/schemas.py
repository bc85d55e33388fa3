"""What nurture's API takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from services.nurture.domain.touch import State
from shared.lifecycle import Stage


class TouchItem(BaseModel):
    """A touch that was made, is to be made, or was not made, with the `reason`.

    `at` is when it came into its state; of a planned one, when it is due. A step whose wait is not over is `planned`
    with the reason `waiting`.
    """

    step: str
    channel: str
    state: State
    at: datetime
    reason: str
    journey: str
    cycle: int
    touch_id: UUID


class Touches(BaseModel):
    items: list[TouchItem]


class TouchToLookAt(TouchItem):
    """`message_id` is what to look for in the mail server's log."""

    lead_id: UUID
    message_id: str


class TouchesToLookAt(BaseModel):
    items: list[TouchToLookAt]
    next: str | None


class KeptMailLine(BaseModel):
    name: str
    to: str
    subject: str
    at: datetime


class KeptMail(KeptMailLine):
    """`text` is the text part; `unsubscribe` the address of List-Unsubscribe, "" without; `source` the whole file."""

    sender: str
    text: str
    unsubscribe: str
    source: str


class KeptMails(BaseModel):
    """`folder` is where the files are, null where a mail server takes the mails and none is kept."""

    items: list[KeptMailLine]
    next: str | None
    folder: str | None


class Move(BaseModel):
    to: Stage
    reason: str = Field(max_length=100)


class Export(BaseModel):
    """All that nurture holds of a lead. `suppressions` are those of its present address."""

    lead_id: UUID
    stage: Stage | None
    cycle: int
    test: bool
    person: dict[str, Any]
    enrolments: list[dict[str, Any]]
    touches: list[dict[str, Any]]
    suppressions: list[dict[str, Any]]
    timers: dict[str, datetime]
    kept_mails: list[str]
