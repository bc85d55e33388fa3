"""Conditions in rules: a small typed tree over what is known, written as data and read without surprises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Known: TypeAlias = Mapping[str, str]
"""What is known, by the names that rules use. A name that is missing, or empty, is not known."""


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Condition, ...]

    def holds(self, known: Known) -> bool:
        return all(part.holds(known) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple[Condition, ...]

    def holds(self, known: Known) -> bool:
        return any(part.holds(known) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition

    def holds(self, known: Known) -> bool:
        return not self.part.holds(known)


@dataclass(frozen=True, slots=True)
class IsKnown:
    field: str
    wanted: bool

    def holds(self, known: Known) -> bool:
        return bool(known.get(self.field, "").strip()) is self.wanted


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these; case and spaces around it do not matter."""

    field: str
    values: frozenset[str]

    def holds(self, known: Known) -> bool:
        return folded(known.get(self.field, "")) in self.values


@dataclass(frozen=True, slots=True)
class Contains:
    """One of these occurs in the value, at the start of a word: `head` in `Head of Sales`, not in `Ahead`."""

    field: str
    values: tuple[str, ...]

    def holds(self, known: Known) -> bool:
        text = " " + words(known.get(self.field, ""))
        return any(f" {value}" in text for value in self.values)


@dataclass(frozen=True, slots=True)
class StartsWith:
    field: str
    values: tuple[str, ...]

    def holds(self, known: Known) -> bool:
        return folded(known.get(self.field, "")).startswith(self.values)


@dataclass(frozen=True, slots=True)
class Between:
    """The value is a number in this range, ends included. A value that is no number does not match."""

    field: str
    least: float | None
    most: float | None

    def holds(self, known: Known) -> bool:
        number = as_number(known.get(self.field, ""))
        if number is None:
            return False
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


Condition: TypeAlias = Every | Some | Not | IsKnown | OneOf | Contains | StartsWith | Between


def folded(text: str) -> str:
    return " ".join(text.casefold().split())


def words(text: str) -> str:
    """`"VP, Sales-Ops"` is `"vp sales ops"`."""
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.casefold()).split())


def as_number(text: str) -> float | None:
    """`"1,200"` is 1200; None for what is no number."""
    try:
        number = float(text.strip().replace(",", "").replace(" ", "").replace("_", "x"))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def fields(condition: Condition) -> Iterator[str]:
    """The names a condition looks at."""
    match condition:
        case Every(parts) | Some(parts):
            for part in parts:
                yield from fields(part)
        case Not(part):
            yield from fields(part)
        case _:
            yield condition.field
