"""What handover knows of a lead: its card, how good it is, who was asked, who holds it, and facts to be acted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from uuid import UUID

from shared.events.envelope import Envelope, Event
from shared.lifecycle import Stage

AT_SALES = (Stage.sql, Stage.handed_over, Stage.accepted, Stage.opportunity)
"""The stages in which a lead is on the worklist."""

RANKS = {"hot": 0, "warm": 1, "cold": 2}


def rank(temperature: str) -> int:
    """The place of a temperature on a list that begins with the hottest; what is unknown comes last."""
    return RANKS.get(temperature, 3)


class OfferState(StrEnum):
    open = auto()
    accepted = auto()
    returned = auto()
    expired = auto()
    withdrawn = auto()
    """Ended by something else before an answer: another way to the sale, an erasure, a person's decision."""
    closed = auto()
    """Accepted, and ended since."""


@dataclass(slots=True)
class Offer:
    """One rep asked once about one lead. `note` is written and never loaded with the lead: it is free text."""

    offer_id: UUID
    rep_id: UUID
    cycle: int
    attempt: int
    offered_at: datetime
    due_at: datetime | None = None
    route: str = ""
    why: str = ""
    state: OfferState = OfferState.open
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    note: str | None = None
    tell: bool = False
    """Made in this piece of work, and the rep is to be told by mail."""

    def end(self, state: OfferState, at: datetime, reason: str = "", note: str | None = None) -> None:
        self.state, self.ended_at, self.reason, self.note = state, at, reason, note


@dataclass(frozen=True, slots=True)
class Purchase:
    seq: int
    value: str
    currency: str
    at: datetime
    history: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The lead asked to be contacted: `activity` is how."""

    seq: int
    activity: str
    at: datetime
    recorded: datetime
    history: bool = False


@dataclass(slots=True)
class Facts:
    """What others said of the lead in this cycle, kept for when its stage is ours and a decision hangs on it."""

    purchase: Purchase | None = None
    request: Request | None = None
    flag: str = ""
    customer_at: datetime | None = None
    customer_by: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rep decided by a command, kept so that the same command again is answered the same."""

    rep: str
    reason: str = ""
    value: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """Handover's copy of the lead's record."""

    version: int = 0
    name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    language: str = ""
    message: str = ""
    answers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class SalesLead:
    """The state of one lead. `score` is None while unknown. `since` is when it came to sales in this cycle.

    `listed`: sales may see it; a lead that history brought to sales is not. `waits_for` says what the next offer
    waits for when it cannot be made at once. `refused` are the reps who returned it or let it expire in this cycle.
    """

    card: Card = field(default_factory=Card)
    score: float | None = None
    temperature: str = ""
    top_reasons: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    scored_at: datetime | None = None

    cycle: int = 0
    listed: bool = False
    since: datetime | None = None
    reason: str = ""
    asked_for: str = ""
    asked_at: datetime | None = None
    cause_id: str = ""
    trace: str = ""

    attempts: int = 0
    waits_for: str = ""
    refused: list[UUID] = field(default_factory=list[UUID])
    owner: UUID | None = None
    offer: Offer | None = None

    value: str = ""
    currency: str = ""
    fulfilled_at: datetime | None = None
    paid_at: datetime | None = None
    decisions: dict[str, Decision] = field(default_factory=dict[str, Decision])

    facts: Facts = field(default_factory=Facts)

    # What this piece of work adds: stage events heard, for the feed, and offers made or changed.
    heard: list[Envelope[Event]] = field(default_factory=list[Envelope[Event]])
    offers: dict[UUID, Offer] = field(default_factory=dict[UUID, Offer])
    card_changed: bool = False
    silent: bool = False
    """Nobody could answer lately: clocks that run against people stand still."""
    as_loaded: tuple[object, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        """When the open offer runs out."""
        return self.offer.due_at if self.offer is not None and self.offer.state is OfferState.open else None

    def ask(self, offer: Offer) -> None:
        self.offer = self.offers[offer.offer_id] = offer
        self.owner, self.attempts, self.waits_for = offer.rep_id, offer.attempt, ""

    def end_offer(self, state: OfferState, at: datetime, reason: str = "", note: str | None = None) -> None:
        """End the present offer, if there is one that has not ended."""
        offer = self.offer
        if offer is not None and offer.state in (OfferState.open, OfferState.accepted):
            offer.end(state, at, reason, note)
            self.offers[offer.offer_id] = offer

    def refuse(self, rep_id: UUID) -> None:
        if rep_id not in self.refused:
            self.refused.append(rep_id)

    def entered(self, stage: Stage, cycle: int, at: datetime, *, history: bool, reason: str) -> None:
        """Bring everything in line with the stage the lead has just entered, whoever moved it there."""
        if cycle != self.cycle:
            self._begin_cycle(cycle)
        if stage is Stage.sql:
            self._came_to_sales(at, history=history, reason=reason)
        elif stage is Stage.customer:
            self._bought(at, reason)
        elif stage in AT_SALES:
            self.listed = True
        elif stage is Stage.merged:
            # Joined to another record for now: all stays as it is, should the two be parted again.
            self.listed = False
        else:
            self._left_sales(at)

    def _begin_cycle(self, cycle: int) -> None:
        self.cycle, self.facts = cycle, Facts()
        self.refused, self.attempts, self.waits_for = [], 0, ""
        self.value = self.currency = self.reason = self.asked_for = ""
        self.asked_at = self.fulfilled_at = self.paid_at = self.since = None
        self.decisions = {}

    def _came_to_sales(self, at: datetime, *, history: bool, reason: str) -> None:
        coming = self.owner is None
        self.owner, self.waits_for = None, ""
        if coming:
            self.attempts, self.since, self.reason, self.listed = 0, at, reason, not history

    def _bought(self, at: datetime, reason: str) -> None:
        """Whoever had accepted the lead goes on caring for the customer; an offer not yet answered is over."""
        if self._is_open():
            self.end_offer(OfferState.withdrawn, at)
            self.owner = None
        self.listed, self.waits_for = False, ""
        self.facts.flag, self.facts.customer_at, self.facts.customer_by = "", at, reason

    def _left_sales(self, at: datetime) -> None:
        self.end_offer(OfferState.withdrawn if self._is_open() else OfferState.closed, at)
        self.listed, self.owner, self.waits_for = False, None, ""

    def _is_open(self) -> bool:
        return self.offer is not None and self.offer.state is OfferState.open
