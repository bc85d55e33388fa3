"""What insights knows of one lead: who, from where, how far, and what is new to write down of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from services.insights.domain.note import Noted
from services.insights.domain.person import Person
from services.insights.domain.progress import Progress
from services.insights.domain.tally import Origin, Tally
from shared.lifecycle import Stage


@dataclass(frozen=True)
class Entry:
    """One line of the timeline. `data` holds codes and figures, never a name, an address or free text."""

    at: datetime
    event_id: UUID
    recorded: datetime
    type: str
    source: str
    data: Mapping[str, object]


@dataclass(frozen=True)
class Move:
    """One stage change."""

    event_id: UUID
    seq: int
    cycle: int
    frm: str
    to: str
    reason: str
    value: str
    currency: str
    at: datetime
    history: bool


@dataclass(frozen=True)
class MarketDay:
    """A day's total of a site; `amount` is a decimal, "" for none."""

    day: date
    what: str
    source: str
    conversion_point: str
    count: int
    amount: str
    currency: str
    recorded: datetime


@dataclass(slots=True)
class LeadView:
    """`known` tells a lead from what only has the shape of one, as the site whose days are counted.

    `rep` is the id of the rep whom sales named last; `seen_at` when the person last did something. `entries`, `moves`
    and `days` are new since it was loaded; `counted` is what it stood for in the sums then.
    """

    known: bool = False
    person: Person = field(default_factory=Person)
    origin: Origin = field(default_factory=Origin)
    medium: str = ""
    test: bool = False
    noted: Noted = field(default_factory=Noted)
    stage: Stage | None = None
    progress: Progress = field(default_factory=Progress)
    score: float | None = None
    temperature: str = ""
    scored_at: datetime | None = None
    rep: str = ""
    seen_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    moved_at: datetime | None = None

    entries: list[Entry] = field(default_factory=list[Entry])
    moves: list[Move] = field(default_factory=list[Move])
    days: list[MarketDay] = field(default_factory=list[MarketDay])
    counted: Counter[Tally] = field(default_factory=Counter[Tally])
