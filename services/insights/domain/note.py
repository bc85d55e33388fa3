"""What is kept of an event: its codes and figures, and of a card only what has become known or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import cast

import msgspec

from services.insights.domain.person import Person
from shared.events.capture import CardChanged, Consent
from shared.events.envelope import Event

_ROLES = ("role", "job_title")


class Grading(msgspec.Struct, frozen=True):
    """The last score that came with its parts; they add up to it."""

    score: float
    fit: float
    engagement: float
    grade: str
    rules_version: int


class Noted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a lead besides: the names of the card's fields, the consents, the last grading."""

    fields: list[str] = []
    consent: dict[str, Consent] = {}
    grading: Grading | None = None


class CardNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """`known`, `changed` and `gone` are names of fields, `said_yes` and `said_no` purposes of consent."""

    first: bool = False
    known: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    said_yes: list[str] = []
    said_no: list[str] = []


def kept(event: Event) -> dict[str, object]:
    """What an event says, without what it says by default."""
    said = cast("dict[str, object]", msgspec.to_builtins(event))
    usual = _usual(type(event))
    return {name: value for name, value in said.items() if name not in usual or usual[name] != value}


@cache
def _usual(event: type[Event]) -> Mapping[str, object]:
    usual: dict[str, object] = {}
    for field in msgspec.structs.fields(event):
        if field.default is not msgspec.NODEFAULT:
            usual[field.encode_name] = msgspec.to_builtins(field.default)
        elif field.default_factory is not msgspec.NODEFAULT:
            usual[field.encode_name] = msgspec.to_builtins(field.default_factory())
    return usual


def person_of(card: CardChanged) -> Person:
    role = next((card.answers[name] for name in _ROLES if card.answers.get(name)), "")
    return Person(card.name, card.company, card.reach("email"), card.reach("phone"), role)


def fields_of(card: CardChanged) -> list[str]:
    """The names of all that the card knows: `email`, `name`, `answers.budget`."""
    person = person_of(card)
    named = {"name": person.name, "company": person.company, "email": person.email, "phone": person.phone}
    own = [name for name, value in {**named, "message": card.message}.items() if value]
    return [*own, *(f"answers.{name}" for name, value in sorted(card.answers.items()) if value)]


def card_note(before: Person, noted: Noted, card: CardChanged, *, first: bool) -> CardNote:
    """What a card says that was not known before, when the person was `before`."""
    after, now = person_of(card), fields_of(card)
    return CardNote(
        first=first,
        known=[name for name in now if name not in noted.fields],
        changed=[name for name in _in_both(noted.fields, now) if getattr(before, name) != getattr(after, name)],
        gone=[name for name in noted.fields if name not in now],
        said_yes=_newly(True, noted.consent, card.consent),
        # Not having said yes at first is no refusal.
        said_no=[purpose for purpose in _newly(False, noted.consent, card.consent) if purpose in noted.consent],
    )


def _in_both(before: Sequence[str], now: Sequence[str]) -> list[str]:
    return [name for name in ("name", "company", "email", "phone") if name in before and name in now]


def _newly(granted: bool, before: Mapping[str, Consent], now: Mapping[str, Consent]) -> list[str]:
    def same(purpose: str) -> bool:
        return purpose in before and before[purpose].granted == granted

    return [purpose for purpose, consent in now.items() if consent.granted == granted and not same(purpose)]
