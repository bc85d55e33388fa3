"""Conditions of rules, read from data: a tree of `all`, `any`, `not`, and comparisons of one field."""

from __future__ import annotations

from collections.abc import Callable

from services.scoring.domain.conditions import (
    Between,
    Condition,
    Contains,
    Every,
    IsKnown,
    Not,
    OneOf,
    Some,
    StartsWith,
    folded,
    words,
)
from services.scoring.domain.fields import MAIL_KINDS
from services.scoring.domain.reading.values import Path, Table, Values

DEEPEST = 8
_RANGE = frozenset({"at_least", "at_most"})
COMPARISONS = frozenset({"known", "is", "in", "contains", "starts_with"}) | _RANGE


class Conditions(Values):
    """Reads conditions; `is_field` says which fields a rule of that kind may ask about."""

    def condition(self, path: Path, data: object, is_field: Callable[[str], bool], depth: int = 0) -> Condition | None:
        table = self.table(path, data)
        if table is None:
            return None
        if depth > DEEPEST:
            self.wrong(path, "is nested too deeply")
            return None
        if "field" in table.data:
            return self._comparison(table, is_field)
        found: Condition | None = None
        if len(table.data) != 1 or not {"all", "any", "not"} & set(table.data):
            self.wrong(path, "must be one of `all`, `any`, `not`, or a `field` with a comparison")
        elif "not" in table.data:
            part = self.condition(table.at("not"), table.value("not"), is_field, depth + 1)
            found = Not(part) if part is not None else None
        else:
            key = "all" if "all" in table.data else "any"
            parts = self._parts(table.at(key), table.value(key), is_field, depth)
            found = Every(parts) if key == "all" else Some(parts)
        return found

    def _parts(self, path: Path, data: object, is_field: Callable[[str], bool], depth: int) -> tuple[Condition, ...]:
        items = self.items(path, data) or []
        parts = [self.condition((*path, n), item, is_field, depth + 1) for n, item in enumerate(items)]
        return tuple(part for part in parts if part is not None)

    def _comparison(self, table: Table, is_field: Callable[[str], bool]) -> Condition | None:
        field = table.need("field", self.text) or ""
        if field and not is_field(field):
            self.wrong(table.at("field"), f"{field!r} is nothing that is known here")
        given = [key for key in table.data if key != "field"]
        if not given or not set(given) <= COMPARISONS or (len(given) > 1 and not _RANGE.issuperset(given)):
            self.wrong(table.path, f"needs one comparison: {', '.join(sorted(COMPARISONS))}, or both ends of a range")
            return None
        condition = self._compared(table, field, given[0])
        if isinstance(condition, OneOf) and field == "email.kind" and not condition.values <= MAIL_KINDS:
            self.wrong(table.at(given[0]), f"must be of {', '.join(sorted(MAIL_KINDS))}")
        return condition

    def _compared(self, table: Table, field: str, kind: str) -> Condition | None:
        match kind:
            case "known":
                known = table.need("known", self.yes_or_no)
                return None if known is None else IsKnown(field, known)
            case "is":
                value = table.need("is", self.scalar)
                return None if value is None else OneOf(field, frozenset({folded(value)}))
            case "in":
                return OneOf(field, frozenset(folded(text) for text in table.need("in", self.texts) or ()))
            case "contains":
                found = tuple(words(text) for text in table.need("contains", self.texts) or ())
                if not all(found):
                    self.wrong(table.at("contains"), "must have a letter or digit in each")
                return Contains(field, found)
            case "starts_with":
                return StartsWith(field, tuple(folded(text) for text in table.need("starts_with", self.texts) or ()))
            case _:
                least = table.take("at_least", self.number)
                most = table.take("at_most", self.number)
                if least is not None and most is not None and least > most:
                    self.wrong(table.at("at_most"), "must not be less than `at_least`")
                return Between(field, least, most)
