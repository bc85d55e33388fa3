"""Values of a rule set, one by one: each is read, or noted as a problem with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast

from services.scoring.domain.moments import length
from shared.reasons import Reason

Path: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")

MOST_POINTS = 10_000
MOST_MEMBERS = 500
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Table:
    """A mapping being read: every key asked for is ticked off, and what is left over is an error."""

    def __init__(self, values: Values, path: Path, data: Mapping[str, object]) -> None:
        self.values = values
        self.path = path
        self.data = data
        self.asked: set[str] = set()

    def at(self, key: str) -> Path:
        return (*self.path, key)

    def value(self, key: str) -> object:
        self.asked.add(key)
        return self.data.get(key)

    def take(self, key: str, read: Callable[[Path, object], T | None]) -> T | None:
        """The value of a key that may be missing."""
        value = self.value(key)
        return read(self.at(key), value) if key in self.data else None

    def need(self, key: str, read: Callable[[Path, object], T | None]) -> T | None:
        value = self.value(key)
        if key not in self.data:
            self.values.wrong(self.at(key), "is missing")
            return None
        return read(self.at(key), value)

    def done(self) -> None:
        for key in self.data:
            if key not in self.asked:
                known = ", ".join(sorted(self.asked))
                self.values.wrong(self.at(key), f"is not a key here; there are {known}")


class Values:
    """Reads values and gathers what is wrong with them. Each method answers None after noting a problem."""

    def __init__(self) -> None:
        self.problems: list[tuple[Path, str]] = []
        self.groups: dict[str, int] = {}

    def wrong(self, path: Path, why: str) -> None:
        self.problems.append((path, why))

    def table(self, path: Path, data: object) -> Table | None:
        if not isinstance(data, Mapping):
            self.wrong(path, "must be a mapping")
            return None
        mapping = cast("Mapping[object, object]", data)
        if wrong := [key for key in mapping if not isinstance(key, str)]:
            self.wrong(path, f"has the key {wrong[0]!r}, which is no text; put it in quotes")
            return None
        return Table(self, path, cast("Mapping[str, object]", mapping))

    def each(self, path: Path, data: object, read: Callable[[Path, str, object], T | None]) -> dict[str, T] | None:
        """A mapping from codes that marketers choose."""
        table = self.table(path, data)
        if table is None:
            return None
        if len(table.data) > MOST_MEMBERS:
            self.wrong(path, f"has more than {MOST_MEMBERS} members")
            return None
        found: dict[str, T] = {}
        for code, value in table.data.items():
            if not _CODE.fullmatch(code):
                self.wrong((*path, code), "must be a name of small letters, digits and underscores")
            one = read((*path, code), code, value)
            if one is not None:
                found[code] = one
        return found

    def items(self, path: Path, data: object) -> Sequence[object] | None:
        if not isinstance(data, list) or not data:
            self.wrong(path, "must be a list with something in it")
            return None
        return cast("list[object]", data)

    def text(self, path: Path, data: object) -> str | None:
        if not isinstance(data, str) or not data.strip() or len(data) > 500 or not data.isprintable():
            self.wrong(path, "must be a text of one line, at most 500 characters")
            return None
        return data.strip()

    def scalar(self, path: Path, data: object) -> str | None:
        """A text, or a number as people write it in YAML without quotes."""
        if isinstance(data, bool):
            self.wrong(path, "is yes or no here; put it in quotes if the word is meant")
            return None
        return f"{data:g}" if isinstance(data, int | float) else self.text(path, data)

    def texts(self, path: Path, data: object) -> list[str] | None:
        items = [data] if isinstance(data, str | int | float) else self.items(path, data)
        if items is None:
            return None
        found = [self.scalar((*path, number), item) for number, item in enumerate(items)]
        return [text for text in found if text is not None]

    def codes(self, path: Path, data: object) -> frozenset[str] | None:
        """The types of activities, one or a list."""
        found = self.texts(path, data)
        if found is None:
            return None
        for code in found:
            if not _CODE.fullmatch(code):
                self.wrong(path, f"{code!r} is not a type of activity: small letters, digits and underscores")
        return frozenset(found)

    def names(self, path: Path, data: object, allowed: set[str]) -> frozenset[str] | None:
        found = self.texts(path, data)
        if found is None:
            return None
        for name in found:
            self.one_of(path, name, allowed)
        return frozenset(found)

    def one_of(self, path: Path, data: object, allowed: set[str] | frozenset[Reason]) -> str | None:
        if not isinstance(data, str) or data not in allowed:
            self.wrong(path, f"must be one of {', '.join(sorted(allowed))}")
            return None
        return data

    def group(self, path: Path, data: object) -> str | None:
        if not isinstance(data, str) or data not in self.groups:
            self.wrong(path, "is not one of the `groups`")
            return None
        return data

    def yes_or_no(self, path: Path, data: object) -> bool | None:
        if not isinstance(data, bool):
            self.wrong(path, "must be true or false")
            return None
        return data

    def number(self, path: Path, data: object) -> float | None:
        if isinstance(data, bool) or not isinstance(data, int | float) or not abs(data) < 1e15:
            self.wrong(path, "must be a number")
            return None
        return float(data)

    def points(self, path: Path, data: object) -> int | None:
        """Points with at most one decimal, as tenths."""
        number = self.number(path, data)
        if number is None:
            return None
        tenths = round(number * 10)
        if abs(number * 10 - tenths) > 1e-6 or abs(number) > MOST_POINTS:
            self.wrong(path, f"must be points with at most one decimal, up to {MOST_POINTS:,}")
            return None
        return tenths

    def positive_points(self, path: Path, data: object) -> int | None:
        tenths = self.points(path, data)
        if tenths is not None and tenths <= 0:
            self.wrong(path, "must be more than 0")
            return None
        return tenths

    def count(self, path: Path, data: object) -> int | None:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= 1000:
            self.wrong(path, "must be a whole number from 1 to 1,000")
            return None
        return data

    def version(self, path: Path, data: object) -> int | None:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data < 2**31:
            self.wrong(path, "must be a whole number from 1")
            return None
        return data

    def span(self, path: Path, data: object) -> int | None:
        found = length(data) if isinstance(data, str) else None
        if found is None:
            self.wrong(path, "must be a length of time such as 12h, 14d or 6w")
        return found

    def half_life(self, path: Path, data: object) -> int | None:
        """Microseconds; 0 for `never`."""
        return 0 if data == "never" else self.span(path, data)
