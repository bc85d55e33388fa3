"""What the timeline keeps of an event: its codes and figures, and of a card only what has become known or changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from services.insights.domain.lead import Person
from shared.events.capture import CardChanged
from shared.events.envelope import Event

_USUAL: dict[type[Event], dict[str, object]] = {}


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


def _usual(event: type[Event]) -> Mapping[str, object]:
    usual = _USUAL.get(event)
    if usual is None:
        usual = {
            field.encode_name: msgspec.to_builtins(
                field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            )
            for field in msgspec.structs.fields(event)
            if field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT
        }
        _USUAL[event] = usual
    return usual


def person_of(card: CardChanged) -> Person:
    return Person(card.name, card.company, card.reach("email"), card.reach("phone"))


def fields_of(card: CardChanged) -> list[str]:
    """The names of all that the card knows: `email`, `name`, `answers.budget`."""
    person = person_of(card)
    named = {"name": person.name, "company": person.company, "email": person.email, "phone": person.phone}
    own = [name for name, value in {**named, "message": card.message}.items() if value]
    return [*own, *(f"answers.{name}" for name, value in sorted(card.answers.items()) if value)]


def card_note(
    before: Person, fields: list[str], consent: Mapping[str, bool], card: CardChanged, *, first: bool
) -> CardNote:
    """What a card says that was not known before, when `fields` and `consent` were."""
    after, now = person_of(card), fields_of(card)
    given = {purpose: consented.granted for purpose, consented in card.consent.items()}
    new = {purpose: granted for purpose, granted in given.items() if consent.get(purpose) != granted}
    own = [name for name in ("name", "company", "email", "phone") if name in fields and name in now]
    return CardNote(
        first=first,
        known=[name for name in now if name not in fields],
        changed=[name for name in own if getattr(before, name) != getattr(after, name)],
        gone=[name for name in fields if name not in now],
        said_yes=[purpose for purpose, granted in new.items() if granted],
        # Not having said yes at first is no refusal.
        said_no=[purpose for purpose, granted in new.items() if not granted and purpose in consent],
    )
