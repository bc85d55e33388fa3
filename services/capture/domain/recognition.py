"""Which lead a submission is from: the e-mail address decides, a telephone only where neither side has an address.

Nothing merges by itself: where the two disagree the address wins, and the other lead is named for somebody to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID


class Person(NamedTuple):
    """What a submission says of who sent it, in normal form. `fresh` is the id of the lead if it is a new one."""

    fresh: UUID
    email: str = ""
    phone: str = ""
    test: bool = False


class Known(NamedTuple):
    """Whose a contact point is. A telephone of somebody with an address does not decide."""

    lead_id: UUID
    has_email: bool


class Recognised(NamedTuple):
    """`other` is the lead that the telephone alone would have meant."""

    lead_id: UUID
    other: UUID | None = None


def keys_of(person: Person) -> list[str]:
    """The contact points as keys: `e:` and `p:`. Those of tests are apart: no test person is ever a real one."""
    mark = "t" if person.test else ""
    pairs = (("e", person.email), ("p", person.phone))
    return [f"{mark}{kind}:{value}" for kind, value in pairs if value]


def recognise(people: Sequence[Person], known: Mapping[str, Known]) -> tuple[list[Recognised], dict[str, Known]]:
    """Who each of them is, one after the other, and what their keys say afterwards.

    >>> recognise([Person(UUID(int=1), "a@b.example"), Person(UUID(int=2), "a@b.example")], {})[0][1].lead_id.int
    1
    """
    after = dict(known)
    return [_recognise(person, after) for person in people], after


def _recognise(person: Person, known: dict[str, Known]) -> Recognised:
    keys = keys_of(person)
    if not person.email:
        return _by_phone(person, keys[0], known)
    lead_id = known.setdefault(keys[0], Known(person.fresh, True)).lead_id
    if not person.phone:
        return Recognised(lead_id)
    holder = known.setdefault(keys[1], Known(lead_id, True)).lead_id
    return Recognised(lead_id, holder if holder != lead_id else None)


def _by_phone(person: Person, key: str, known: dict[str, Known]) -> Recognised:
    holder = known.get(key)
    if holder is not None and not holder.has_email:
        return Recognised(holder.lead_id)
    known[key] = Known(person.fresh, False)
    return Recognised(person.fresh, holder.lead_id if holder else None)
