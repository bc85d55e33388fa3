"""What events tell of a lead, under the names that rules use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import phonenumbers
from disposable_email_domains import blocklist

from shared.events.capture import ActivityRecorded, CardChanged, ContactPoint
from shared.events.envelope import Event
from shared.events.handover import Contacted
from shared.events.nurture import Bounced, Clicked

_FREE_MAIL = Path(__file__).parent / "rules" / "free_mail.txt"
# These have a domain in almost every country.
_WORLDWIDE = frozenset({"aol", "gmail", "gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex"})
_SECOND_LEVEL = frozenset({"co", "com", "ne"})
_ACTIVITY_DETAILS = (
    "asset", "path", "conversion_point", "channel", "medium", "source", "campaign", "outcome", "reason",
    "text_length", "duration_seconds", "value", "currency", "contact_valid",
)  # fmt: skip


def known_of(card: CardChanged) -> dict[str, str]:
    """What a card says that fit rules may ask about. Names, addresses and the message itself stay out of it."""
    touch = card.first_touch
    known = {
        "kind": card.kind,
        "company": card.company,
        "language": card.language,
        "source.channel": touch.channel,
        "source.medium": touch.medium,
        "source.source": touch.source,
        "source.campaign": touch.campaign,
        "source.conversion_point": touch.conversion_point,
    }
    known |= {f"answers.{question}": answer for question, answer in card.answers.items()}
    for point in card.contact_points[::-1]:
        known |= _reached_by(point)
    return {name: value for name, value in known.items() if value}


def mail_kind(domain: str) -> str:
    """`business`, `free` or `disposable`."""
    domain = domain.lower()
    if domain in blocklist:
        return "disposable"
    name, *rest = domain.split(".")
    worldwide = name in _WORLDWIDE and (len(rest) == 1 or (len(rest) == 2 and rest[0] in _SECOND_LEVEL))
    return "free" if worldwide or domain in free_mail_domains() else "business"


@cache
def free_mail_domains() -> frozenset[str]:
    return frozenset(_FREE_MAIL.read_text(encoding="ascii").split())


def details_of(data: Event) -> dict[str, str]:
    """What engagement rules may ask about an activity; empty values are left out."""
    match data:
        case ActivityRecorded():
            found = {name: getattr(data, name) for name in _ACTIVITY_DETAILS}
            return {name: _text(value) for name, value in found.items() if _is_given(value)}
        case Clicked():
            return {"path": data.link} if data.link else {}
        case Bounced():
            return {"outcome": "permanent" if data.permanent else "temporary"}
        case Contacted():
            return {name: value for name, value in (("channel", data.channel), ("outcome", data.outcome)) if value}
        case _:
            return {}


def _reached_by(point: ContactPoint) -> dict[str, str]:
    known = {f"{point.kind}.known": "true", f"{point.kind}.verified": _text(point.verified)}
    if point.kind == "phone":
        return known | {"phone.country": _country(point.value)}
    domain = point.value.rpartition("@")[2]
    return known | {"email.domain": domain, "email.kind": mail_kind(domain)}


def _country(phone: str) -> str:
    """The country a number belongs to, as `SE`; empty where that cannot be told."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""
    except phonenumbers.NumberParseException:
        return ""


def _is_given(value: object) -> bool:
    return value is False or bool(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
