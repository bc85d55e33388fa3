"""What was posted, understood: a body to a typed command, or which members are wrong and why."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

import msgspec

from services.capture.bodies import (
    NO_ACTIVITY,
    NO_SOURCE,
    ActivityBody,
    ActivityItem,
    ConsentBody,
    LeadBody,
    SourceBody,
    ViewBody,
)
from services.capture.domain import cleaning
from services.capture.domain.activity import ACTIVITY_TYPES
from services.capture.domain.channel import CLICK_IDS, channel
from services.capture.domain.contact import NotAContactPoint, normal_email, normal_phone
from services.capture.domain.submission import Activity, Permission, Submission
from services.capture.domain.web_address import web_address
from services.capture.misread import escaped, meant, place_of
from shared.clock import EPOCH
from shared.currencies import CURRENCIES
from shared.errors import Malformed
from shared.events.capture import Touch

SITE_MAY_GO_BACK = timedelta(days=7)

OPERATOR_TYPES = frozenset({"flagged"})
"""What only somebody with a secret key may say of a lead: it takes it out of the funnel."""

_NEEDS_OPERATOR = "needs the operator's key or one for posting"

LONGEST_NAME = 200
LONGEST_ANSWER = 2_000
LONGEST_MESSAGE = 10_000
LONGEST_CONSENT = 2_000
LONGEST_ID = 200
MOST_FIELDS = 100
MOST_PURPOSES = 20
MOST_IN_A_LIST = 100


def view_of(body: ViewBody) -> tuple[str, str, str]:
    """What was seen, by which source its viewer came, and where it was."""
    touch = _touch(body.source or NO_SOURCE, "", None)
    return body.what, touch.source, cleaning.token(body.conversion_point)


def body_hash(body: LeadBody, secret: bytes) -> bytes:
    """The same for bodies that say the same, in whatever order; with a secret in it, as a body can be guessed."""
    said = msgspec.structs.replace(body, submission_id=None, site=None)
    return hashlib.blake2b(msgspec.json.encode(said, order="deterministic"), key=secret, digest_size=32).digest()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a post beside its body. `trusted`: it came with a key for posting, as the operator's is."""

    submission_id: UUID
    now: datetime
    site: str = ""
    policy: str = "contact_valid"
    product: str = ""
    region: str = ""
    currency: str = "EUR"
    test: bool = False
    trusted: bool = False
    sender: str = "lead"
    ip_prefix: str = ""
    types: Collection[str] = ACTIVITY_TYPES


def understand(body: LeadBody, context: Context) -> Submission:
    """The typed command in a body. Raises `Malformed` with every member that is wrong."""
    wrong: list[tuple[str, str]] = []
    email, phone = _contact(body, context.region, wrong)
    message = _long("/message", body.message or "", LONGEST_MESSAGE, wrong)
    activity = _activity(body.activity or NO_ACTIVITY, "/activity", context, wrong, message)
    submission = Submission(
        submission_id=context.submission_id,
        activity=activity,
        touch=_touch(body.source or NO_SOURCE, activity.conversion_point, activity.at),
        site=context.site,
        policy=context.policy,
        email=email,
        phone=phone,
        name=_line("/name", body.name, LONGEST_NAME, wrong),
        company=_line("/company", body.company, LONGEST_NAME, wrong),
        kind=body.kind or "person",
        answers=_answers(body.fields or {}, wrong),
        message=message,
        language=cleaning.token(body.language or "")[:35],
        consent=_consent(body.consent or {}, context, wrong),
        visitor_id=_line("/visitor_id", body.visitor_id, LONGEST_ID, wrong),
        product=cleaning.token(body.product or "") or context.product,
        trap=cleaning.one_line(body.website or "")[:LONGEST_NAME],
        test=context.test,
        history=body.history,
        sender=context.sender,
        ip_prefix=context.ip_prefix,
    )
    if body.history and not context.trusted:
        wrong.append(("/history", _NEEDS_OPERATOR))
    if wrong:
        raise Malformed("Some values cannot be taken.", wrong)
    return submission


def understand_activity(item: ActivityItem, context: Context) -> tuple[Activity, Touch]:
    """What was done and how whoever did it came. Raises `Malformed` with every member that is wrong."""
    wrong: list[tuple[str, str]] = []
    activity = _activity(item, "", context, wrong)
    source = item.source or SourceBody()
    came = msgspec.structs.replace(source, url=source.url or item.url, referrer=source.referrer or item.referrer)
    touch = _touch(came, activity.conversion_point, activity.at)
    if item.history and not context.trusted:
        wrong.append(("/history", _NEEDS_OPERATOR))
    if item.lead_id and not context.trusted:
        wrong.append(("/lead_id", _NEEDS_OPERATOR + "; a page sends visitor_id"))
    if (item.lead_id is None) == (not item.visitor_id):
        wrong.append(("/visitor_id", "either lead_id or visitor_id is needed"))
    _line("/visitor_id", item.visitor_id, LONGEST_ID, wrong)
    if wrong:
        raise Malformed("Some values cannot be taken.", wrong)
    return activity, touch


def understand_fact(body: ActivityBody, context: Context) -> Activity:
    """Something that was done, by whomever. Raises `Malformed` with every member that is wrong."""
    wrong: list[tuple[str, str]] = []
    activity = _activity(body, "", context, wrong)
    if wrong:
        raise Malformed("Some values cannot be taken.", wrong)
    return activity


def _contact(body: LeadBody, region: str, wrong: list[tuple[str, str]]) -> tuple[str, str]:
    email, phone = body.email or "", body.phone or ""
    if not email.strip() and not phone.strip():
        wrong.append(("/email", "an e-mail address or a telephone number is needed"))
        return "", ""
    try:
        email = normal_email(cleaning.one_line(email)) if email.strip() else ""
    except NotAContactPoint as refusal:
        wrong.append(("/email", refusal.reason))
    try:
        phone = normal_phone(cleaning.one_line(phone), region or None) if phone.strip() else ""
    except NotAContactPoint as refusal:
        wrong.append(("/phone", refusal.reason))
    return email, phone


def _activity(
    body: ActivityBody, at: str, context: Context, wrong: list[tuple[str, str]], message: str = ""
) -> Activity:
    value, currency = _money(body, at, context, wrong)
    return Activity(
        type=_type(body.type, f"{at}/type", context, wrong),
        at=_moment(body.at, f"{at}/at", context, wrong),
        asset=cleaning.token(body.asset),
        path=web_address(body.url).path,
        conversion_point=cleaning.token(body.conversion_point),
        value=value,
        currency=currency,
        duration_seconds=body.duration_seconds,
        outcome=cleaning.slug(body.outcome),
        reason=cleaning.slug(body.reason),
        text=_long(f"{at}/text", body.text, LONGEST_MESSAGE, wrong) or message,
    )


def _type(given: str, pointer: str, context: Context, wrong: list[tuple[str, str]]) -> str:
    name = given.strip()
    if not name:
        wrong.append((pointer, "is needed"))
    elif name not in context.types:
        wrong.append((pointer, "is not a known activity type" + meant(name, context.types)))
    elif name in OPERATOR_TYPES and not context.trusted:
        wrong.append((pointer, _NEEDS_OPERATOR))
    return name


def _moment(given: datetime | None, pointer: str, context: Context, wrong: list[tuple[str, str]]) -> datetime:
    if given is None or given > context.now:
        return context.now
    if given < EPOCH:
        wrong.append((pointer, "is before 1970"))
        return context.now
    given = given.astimezone(UTC)
    if given < context.now - SITE_MAY_GO_BACK and not context.trusted:
        wrong.append((pointer, "is more than 7 days ago, which needs the operator's key or one for posting"))
    return given


def _money(body: ActivityBody, at: str, context: Context, wrong: list[tuple[str, str]]) -> tuple[str, str]:
    """The amount as a plain decimal string and its currency, both empty where there is no amount."""
    currency = body.currency.strip().upper()
    if currency and currency not in CURRENCIES:
        wrong.append((f"{at}/currency", "is not an ISO 4217 code like EUR"))
    if body.value is None:
        # Files from elsewhere may know that somebody bought, and not for how much.
        if body.type == "purchase" and context.sender != "import":
            wrong.append((f"{at}/value", "a purchase needs its value"))
        return "", ""
    value = body.value
    if not value.is_finite() or value < 0 or value.adjusted() > 14 or _places(value) > 4:
        wrong.append((f"{at}/value", "must be an amount of at most 15 digits and 4 decimals, not below zero"))
        return "", ""
    return _plain(value), currency or context.currency


def _plain(value: Decimal) -> str:
    """Written out. Zeros that say nothing go first: those of `0E-999999999` would be a gigabyte."""
    exponent = cast("int", value.as_tuple().exponent)
    return f"{value if value and exponent >= -4 else abs(value.normalize()):f}"


def _places(value: Decimal) -> int:
    return max(0, -cast("int", value.normalize().as_tuple().exponent))


def _touch(body: SourceBody, conversion_point: str, at: datetime | None) -> Touch:
    page, referrer = web_address(body.url), web_address(body.referrer)
    asked = page.parameters
    clicks = {
        n: cleaning.one_line(click)[:200] for n, click in (*asked.items(), *body.click_ids.items()) if n in CLICK_IDS
    }
    medium = cleaning.token(body.medium or asked.get("utm_medium", ""))
    source = cleaning.token(body.source or asked.get("utm_source", ""))
    return Touch(
        channel=cleaning.slug(body.channel)
        or channel(cleaning.slug(medium), cleaning.slug(source), referrer.host, clicks, page.host),
        medium=medium,
        source=source or referrer.host,
        campaign=cleaning.token(body.campaign or asked.get("utm_campaign", "")),
        url=page.place,
        referrer=referrer.place,
        click_ids=clicks,
        conversion_point=conversion_point,
        at=at,
    )


def _answers(fields: Mapping[str, object], wrong: list[tuple[str, str]]) -> dict[str, str]:
    if len(fields) > MOST_FIELDS:
        wrong.append(("/fields", f"has more than {MOST_FIELDS} members"))
        return {}
    answers: dict[str, str] = {}
    for name, value in fields.items():
        pointer = f"/fields/{escaped(name)}"
        clean, answer = cleaning.one_line(name), _answer(value)
        if not clean or len(clean) > LONGEST_NAME:
            wrong.append((pointer, f"its name must have 1 to {LONGEST_NAME} characters"))
        elif answer is None:
            wrong.append((pointer, "must be text, a number, true, false, or a list of them"))
        elif answer:
            answers[clean] = _long(pointer, answer, LONGEST_ANSWER, wrong)
    return answers


def _answer(value: object) -> str | None:
    """An answer as text; None for what is none."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case list():
            parts = [_answer(one) for one in cast("list[object]", value) if not isinstance(one, list)]
            fits = len(parts) == len(cast("list[object]", value)) <= MOST_IN_A_LIST and None not in parts
            return ", ".join(part for part in parts if part) if fits else None
        case _:
            return None


def _consent(given: Mapping[str, object], context: Context, wrong: list[tuple[str, str]]) -> dict[str, Permission]:
    if len(given) > MOST_PURPOSES:
        wrong.append(("/consent", f"has more than {MOST_PURPOSES} purposes"))
        return {}
    permissions: dict[str, Permission] = {}
    for name, said in given.items():
        pointer, purpose = f"/consent/{escaped(name)}", cleaning.slug(name)
        if not purpose:
            wrong.append((pointer, "its name must be a word"))
        elif isinstance(said, bool):
            permissions[purpose] = Permission(said)
        else:
            permissions[purpose] = _permission(said, pointer, context, wrong)
    return permissions


def _permission(said: object, pointer: str, context: Context, wrong: list[tuple[str, str]]) -> Permission:
    try:
        body = msgspec.convert(said, ConsentBody)
    except msgspec.ValidationError as error:
        inside, why = place_of(str(error), ConsentBody.__struct_fields__)
        wrong.append((pointer + inside, why))
        return Permission(False)
    at = _moment(body.at, f"{pointer}/at", context, wrong) if body.at else None
    return Permission(body.granted, _long(f"{pointer}/text", body.text, LONGEST_CONSENT, wrong), at)


def _line(pointer: str, text: str | None, longest: int, wrong: list[tuple[str, str]]) -> str:
    clean = cleaning.one_line(text) if text else ""
    if len(clean) > longest:
        wrong.append((pointer, f"has more than {longest} characters"))
    return clean


def _long(pointer: str, text: str, longest: int, wrong: list[tuple[str, str]]) -> str:
    clean = cleaning.lines(text)
    if len(clean) > longest:
        wrong.append((pointer, f"has more than {longest} characters"))
    return clean
