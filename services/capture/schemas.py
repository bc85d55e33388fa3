"""What operators ask capture for, and what they get."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.capture.domain.contact import is_region
from services.capture.domain.registration import Policy
from services.capture.sites import ORIGIN
from shared.lifecycle import Stage
from shared.reasons import Reason


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class StageMove(_Body):
    to: Stage
    reason: Reason


class StageNow(BaseModel):
    lead_id: UUID
    stage: Stage
    cycle: int
    reason: Reason


def _origin(text: str) -> str:
    if not ORIGIN.fullmatch(text):
        raise ValueError(
            "must be an origin as browsers write it, like https://www.example.com; `:*` stands for any port"
        )
    return text


def _shaped(pattern: str, why: str) -> Callable[[str], str]:
    """Refuses in words what a pattern would refuse by showing itself to whoever typed it."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(why)
        return value

    return check


def _region(code: str) -> str:
    if code and not is_region(code):
        raise ValueError("must be the two capitals of a country, such as SE, or nothing")
    return code


_KEY, _NAME, _REGION = r"^pk_[A-Za-z0-9_-]{3,100}$", r"^[a-z][a-z0-9_-]{0,63}$", r"^([A-Z]{2})?$"
_check_key = AfterValidator(_shaped(_KEY, "must be pk_ and 3 to 100 letters, digits, - or _"))
_check_name = AfterValidator(
    _shaped(_NAME, "must be a small letter and up to 63 small letters, digits, - or _, such as web-se")
)


class SiteBody(_Body):
    """`key` is made when it is left out; one that begins with pk_test_ makes test leads."""

    key: Annotated[str, _check_key, Field(json_schema_extra={"pattern": _KEY})] | None = None
    name: Annotated[str, _check_name, Field(json_schema_extra={"pattern": _NAME})]
    origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], Field(max_length=100)] = []
    policy: Policy = "contact_valid"
    product: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    region: Annotated[str, AfterValidator(_region), Field(json_schema_extra={"pattern": _REGION})] = ""
    test: bool = False


class SiteOut(BaseModel):
    key: str
    name: str
    origins: list[str]
    policy: Policy
    test: bool
    product: str
    region: str


class SiteList(BaseModel):
    items: list[SiteOut]
    next: str | None = None


class ContactPointOut(BaseModel):
    kind: Literal["email", "phone"]
    value: str
    verified: bool


class ConsentOut(BaseModel):
    granted: bool
    at: datetime
    text: str
    source: str


class TouchOut(BaseModel):
    channel: str
    medium: str
    source: str
    campaign: str
    url: str
    referrer: str
    click_ids: dict[str, str]
    conversion_point: str
    at: datetime | None


class CardOut(BaseModel):
    """The card of a lead, and where it stands."""

    lead_id: UUID
    stage: str
    cycle: int
    site: str
    product: str
    test: bool
    version: int
    kind: Literal["person", "organization"]
    name: str
    company: str
    email: str
    phone: str
    contact_points: list[ContactPointOut]
    answers: dict[str, str]
    consent: dict[str, ConsentOut]
    first_touch: TouchOut
    last_touch: TouchOut
    message: str
    language: str
    created_at: datetime | None
    updated_at: datetime | None


class ErasureAccepted(BaseModel):
    erasure_id: UUID


class ErasedBy(BaseModel):
    """`removed` counts deleted rows by table."""

    service: str
    done_at: datetime
    removed: dict[str, int]


class ErasureReport(BaseModel):
    """`waiting` are the services that have not said yet that they have forgotten the lead."""

    erasure_id: UUID
    lead_id: UUID
    asked_at: datetime
    done: bool
    services: list[ErasedBy]
    waiting: list[str]


class ReviewOut(BaseModel):
    """Two leads that may be one person. A submission was joined to `lead_id` although its telephone is `other_id`'s."""

    review_id: UUID
    lead_id: UUID
    other_id: UUID
    reason: str
    noted_at: datetime


class ReviewList(BaseModel):
    items: list[ReviewOut]
    next: str | None


class QuarantinedOut(BaseModel):
    """A submission that was put aside, as it was understood."""

    submission_id: UUID
    reason: str
    site: str
    received_at: datetime
    released_at: datetime | None
    lead_id: UUID | None
    submission: dict[str, Any]


class QuarantineList(BaseModel):
    items: list[QuarantinedOut]
    next: str | None


class Released(BaseModel):
    submission_id: UUID
    lead_id: UUID
    created: bool


class Export(BaseModel):
    """All that capture holds of a lead."""

    lead_id: UUID
    service: Literal["capture"] = "capture"
    tables: dict[str, list[dict[str, Any]]]
