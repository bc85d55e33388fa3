"""Where a value of a lead comes from: a template over columns, a table of words, or the first of several that is there.

"{First name} {Last name}"                                 columns and text; absent when no column is answered
["{Mobile}", "{Phone}"]                                    the first that is answered
{column: Origin, values: {web: website}, otherwise: other}  a word for each value, or nothing
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.capture.importing.findings import Findings, Node, under

Answers = Sequence[str]
"""A row's answered values by slot; an empty string is a value that was not answered."""

Reader = Callable[[Answers], str]

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


@dataclass(frozen=True, slots=True)
class Column:
    name: str

    def reader(self, slots: Mapping[str, int]) -> Reader:
        slot = slots[self.name]
        return lambda answers: answers[slot]


@dataclass(frozen=True, slots=True)
class Constant:
    text: str

    def reader(self, slots: Mapping[str, int]) -> Reader:
        del slots
        return lambda answers: self.text


@dataclass(frozen=True, slots=True)
class Template:
    """Text and columns in turn; columns that are not answered leave nothing, and all of them leave no value."""

    parts: tuple[Column | Constant, ...]

    def reader(self, slots: Mapping[str, int]) -> Reader:
        readers = [part.reader(slots) for part in self.parts]
        asked = [slots[part.name] for part in self.parts if isinstance(part, Column)]

        def read(answers: Answers) -> str:
            if not any(answers[slot] for slot in asked):
                return ""
            return "".join([reader(answers) for reader in readers]).strip()

        return read


@dataclass(frozen=True, slots=True)
class Lookup:
    """A word for each value of a column, whatever the case of its letters."""

    column: Column
    words: Mapping[str, str]
    otherwise: Value

    def reader(self, slots: Mapping[str, int]) -> Reader:
        read, words = self.column.reader(slots), self.words
        otherwise = self.otherwise.reader(slots)

        def find(answers: Answers) -> str:
            word = words.get(read(answers).casefold())
            return otherwise(answers) if word is None else word

        return find


@dataclass(frozen=True, slots=True)
class FirstOf:
    options: tuple[Value, ...]

    def reader(self, slots: Mapping[str, int]) -> Reader:
        readers = [option.reader(slots) for option in self.options]
        return lambda answers: next((value for reader in readers if (value := reader(answers))), "")


Value = Column | Constant | Template | Lookup | FirstOf


def value_of(where: str, node: Node, findings: Findings) -> Value:
    """Reads a value of the map; what is wrong goes to `findings`."""
    if isinstance(node, list):
        return FirstOf(tuple(value_of(f"{where}[{n}]", option, findings) for n, option in enumerate(node)))
    if isinstance(node, dict):
        return _lookup(where, node, findings)
    return template(where, findings.text(where, node), findings)


def template(where: str, text: str, findings: Findings) -> Value:
    """`{Column}` stands for a column's value, `{{` and `}}` for braces."""
    parts = list[Column | Constant]()
    for piece in _PIECES.finditer(text):
        if piece[1] is not None:
            parts.append(_column(where, piece[1], findings))
        elif piece[0] in "{}":
            findings.wrong(where, "a brace is open; write {Column}, or {{ and }} for braces themselves")
        else:
            parts.append(Constant({"{{": "{", "}}": "}"}.get(piece[0], piece[0])))
    if not any(isinstance(part, Column) for part in parts):
        return Constant("".join(part.text for part in parts if isinstance(part, Constant)))
    return parts[0] if len(parts) == 1 else Template(tuple(parts))


def _column(where: str, name: str, findings: Findings) -> Column:
    column = " ".join(name.split())
    if not column:
        findings.wrong(where, "{} names no column")
    else:
        findings.mention(where, column)
    return Column(column)


def _lookup(where: str, node: dict[str, Node], findings: Findings) -> Value:
    if list(node.values()) == [""]:
        findings.wrong(where, f'put the template between quotes: "{{{next(iter(node))}}}"')
        return Constant("")
    keys = findings.mapping(where, node, ("column", "values", "otherwise"))
    if missing := [key for key in ("column", "values") if key not in keys]:
        findings.wrong(where, f"a table of words needs {' and '.join(missing)}")
        return Constant("")
    column = _column(under(where, "column"), findings.text(under(where, "column"), keys["column"]), findings)
    values = findings.mapping(under(where, "values"), keys["values"])
    words = {
        value.strip().casefold(): findings.text(under(where, f"values.{value}"), word) for value, word in values.items()
    }
    otherwise = value_of(under(where, "otherwise"), keys.get("otherwise", ""), findings)
    return Lookup(column, words, otherwise)


def constants_of(value: Value | None) -> list[str]:
    """The texts that a value may be whatever the row says, in order."""
    if isinstance(value, Constant):
        return [value.text] if value.text else []
    if isinstance(value, FirstOf):
        return [text for option in value.options for text in constants_of(option)]
    return []
