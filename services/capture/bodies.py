"""What is posted: the members of each body, and the reading of its bytes."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec

from services.capture.misread import place_of, shape
from shared.errors import Malformed

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ActivityBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: str = "form_submitted"
    at: _Moment | None = None
    asset: str = ""
    url: str = ""
    conversion_point: str = ""
    value: Decimal | None = None
    currency: str = ""
    duration_seconds: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] | None = None
    outcome: str = ""
    reason: str = ""
    text: str = ""


class SourceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    channel: str = ""
    medium: str = ""
    source: str = ""
    campaign: str = ""
    url: str = ""
    referrer: str = ""
    click_ids: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class ActivityItem(ActivityBody, forbid_unknown_fields=True, kw_only=True):
    """One of the activities in the body of POST /v1/activities; either of the two ids says whose."""

    type: str = ""
    lead_id: UUID | None = None
    visitor_id: str | None = None
    source: SourceBody | None = None
    referrer: str = ""
    history: bool = False


class ActivitiesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /v1/activities. Each activity is read by itself: a wrong one refuses no other."""

    activities: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]
    site: str | None = None


class ViewBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /v1/views."""

    what: Literal["form_views", "visits"] = "form_views"
    conversion_point: str = ""
    source: SourceBody | None = None
    site: str | None = None


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`at` is when it was said, if that was not when the rest was."""

    granted: bool
    text: str = ""
    at: _Moment | None = None


class LeadBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /v1/leads."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    company: str | None = None
    kind: Literal["person", "organization"] | None = None
    fields: dict[str, Any] | None = None
    message: str | None = None
    language: str | None = None
    activity: ActivityBody | None = None
    source: SourceBody | None = None
    consent: dict[str, Any] | None = None
    visitor_id: str | None = None
    submission_id: str | None = None
    site: str | None = None
    product: str | None = None
    website: str | None = None
    history: bool = False


_decoder = msgspec.json.Decoder(LeadBody)
_activities_decoder = msgspec.json.Decoder(ActivitiesBody)
_item_decoder = msgspec.json.Decoder(ActivityItem)
NO_ACTIVITY, NO_SOURCE = ActivityBody(), SourceBody()


_view_decoder = msgspec.json.Decoder(ViewBody)
# Escapes one after the other, so that the backslash of one is not taken for the beginning of the next.
_ESCAPES = re.compile(
    rb"\\(?:u(?i:d[89ab][0-9a-f]{2})\\u(?i:d[c-f][0-9a-f]{2})|u(?P<half>(?i:d[89a-f][0-9a-f]{2}))|.)", re.DOTALL
)

_NAMES = (*LeadBody.__struct_fields__, *ActivityBody.__struct_fields__, *SourceBody.__struct_fields__)
B = TypeVar("B")


def read_lead(raw: bytes) -> LeadBody:
    """Raises `Malformed` that points at the first member with the wrong shape."""
    return _read(_decoder, raw, _NAMES)


def read_activities(raw: bytes) -> ActivitiesBody:
    """Raises `Malformed` when the body is no list of activities at all."""
    return _read(_activities_decoder, raw, ActivitiesBody.__struct_fields__)


def read_activity(raw: msgspec.Raw) -> ActivityItem:
    """Raises `Malformed` that points into the activity."""
    return _read(_item_decoder, raw, (*ActivityItem.__struct_fields__, *SourceBody.__struct_fields__))


def read_view(raw: bytes) -> ViewBody:
    """Raises `Malformed` that points at the first member with the wrong shape."""
    return _read(_view_decoder, raw, ViewBody.__struct_fields__)


def _read(decoder: msgspec.json.Decoder[B], raw: bytes | msgspec.Raw, names: Collection[str]) -> B:
    try:
        return _decoded(decoder, raw)
    except msgspec.ValidationError as error:
        raise Malformed("Some values cannot be read.", [place_of(str(error), names)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("The body is not JSON in UTF-8.", [("", shape(error))]) from None


def _decoded(decoder: msgspec.json.Decoder[B], raw: bytes | msgspec.Raw) -> B:
    """Scripts that cut a text to its length may cut a sign in two; JSON then holds half of a pair. It is nobody's
    mistake who wrote the text, so U+FFFD stands in its place."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        given = bytes(raw)
        whole = _ESCAPES.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], given)
        if whole == given:
            raise
        return decoder.decode(whole)
