"""What requests and answers look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.handover.domain.outcome import Outcome
from shared.currencies import CURRENCIES
from shared.lifecycle import Stage


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be on one line")
    return value.strip()


def _a_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("must be the three capitals of a currency, such as EUR")
    return value


def _shaped(pattern: str, why: str) -> Callable[[str], str]:
    """Refuses in words what a pattern would refuse by showing itself to whoever typed it."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(why)
        return value

    return check


_EMAIL = r'^[^@\s<>(),;:"\\]+@[^@\s<>(),;:"\\]+$'
_AMOUNT = r"^\d{1,12}(\.\d{1,4})?$"

Line = Annotated[str, AfterValidator(_text)]
Email = Annotated[
    str,
    AfterValidator(_shaped(_EMAIL, "must be one e-mail address, such as ada@example.com")),
    AfterValidator(_text),
    Field(max_length=254, json_schema_extra={"pattern": _EMAIL}),
]
Products = Annotated[list[Annotated[Line, Field(min_length=1, max_length=100)]], Field(max_length=100)]
Capacity = Annotated[int, Field(ge=0, le=100_000)]
Amount = Annotated[
    str,
    AfterValidator(_shaped(_AMOUNT, "must be digits, with a point before the decimals: 18400.00")),
    Field(examples=["18400.00"], json_schema_extra={"pattern": _AMOUNT}),
]
Currency = Annotated[
    str,
    AfterValidator(_a_currency),
    Field(examples=["EUR"], json_schema_extra={"enum": [*sorted(CURRENCIES)]}),
]
Code = Annotated[str, Field(max_length=40, pattern=r"^[a-z_]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewRep(_Body):
    """`products`: empty for all. `capacity`: most leads held at once, null for no limit, 0 for none in turn."""

    name: Line = Field(min_length=1, max_length=120)
    email: Email
    phone: Line = Field("", max_length=40)
    products: Products = []
    capacity: Capacity | None = None
    active: bool = True
    fallback: bool = False


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class RepChange(_Body):
    """Only what is given changes."""

    # The defaults below stand for "not given"; nobody who reads the description should take them for values.
    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)

    name: Line = Field("", min_length=1, max_length=120)
    email: Email = ""
    phone: Line = Field("", max_length=40)
    products: Products = []
    capacity: Capacity | None = None
    active: bool = True
    fallback: bool = False


class Rep(BaseModel):
    rep_id: UUID
    name: str
    email: str
    phone: str
    products: list[str]
    capacity: int | None
    active: bool
    fallback: bool
    holds: int = 0
    created_at: datetime


class Reps(BaseModel):
    items: list[Rep]
    next: str | None


class Acceptance(_Body):
    """`rep`: id or e-mail address."""

    rep: str = Field(min_length=1, max_length=254)


class Return(_Body):
    """`note` is for the next rep; it never leaves this service."""

    rep: str = Field(min_length=1, max_length=254)
    reason: Code
    note: str = Field("", max_length=2000)


class OutcomeReport(_Body):
    """`rep`: id or e-mail address, without one whoever holds the lead. `value` is a decimal in a string."""

    outcome: Outcome
    rep: str = Field("", max_length=254)
    reason: Code = ""
    value: Amount | None = None
    currency: Currency | None = None


class StageMove(_Body):
    to: Stage
    reason: Code


class Standing(BaseModel):
    """A lead after a command. `rep` is who holds it."""

    lead_id: UUID
    stage: str
    cycle: int
    rep: UUID | None
    offer_id: UUID | None
    due_at: datetime | None
    value: str
    currency: str
    fulfilled_at: datetime | None
    paid_at: datetime | None


class WorklistItem(BaseModel):
    """`owner` is the rep who is asked or holds the lead; `waits_for` says why nobody could be asked yet.

    `email`, `phone` and `message`, what the person wrote, are told once a rep has taken the lead.
    """

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
    email: str = ""
    phone: str = ""
    message: str = ""


class OfferTold(BaseModel):
    """One offer to one rep; `reason` is why it was returned."""

    offer_id: UUID
    rep: UUID
    rep_name: str
    state: str
    why: str
    reason: str
    offered_at: datetime
    due_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None


class Offers(BaseModel):
    items: list[OfferTold]


class Worklist(BaseModel):
    items: list[WorklistItem]
    next: str | None
