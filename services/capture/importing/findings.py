"""What is wrong with a map, gathered so that all of it can be said at once."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeAlias

from shared.errors import Malformed

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
"""A piece of the map as YAML gives it when every value is left as text: `No` stays `No`, `1` stays `1`."""


class MapError(Malformed):
    """The map cannot be used. `problems` are (where, why), for example `("lead.email", "names no column")`."""

    title = "Unusable map"

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        said = tuple(problems)
        super().__init__("\n".join(f"{where}: {why}" if where else why for where, why in said), said)


class Findings:
    """Problems as (key of the map, why), and the columns that the map speaks of, each with the key that does."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.mentions: list[tuple[str, str]] = []

    def wrong(self, where: str, why: str) -> None:
        self.problems.append((where, why))

    def mention(self, where: str, column: str) -> None:
        self.mentions.append((where, column))

    def text(self, where: str, node: Node) -> str:
        """The node as a single value; lists and mappings are refused."""
        if isinstance(node, str):
            return node.strip()
        self.wrong(where, "must be a single value")
        return ""

    def texts(self, where: str, node: Node) -> list[str]:
        """One value or a list of them."""
        if isinstance(node, list):
            return [self.text(f"{where}[{number}]", item) for number, item in enumerate(node)]
        return [self.text(where, node)]

    def mapping(self, where: str, node: Node, known: Iterable[str] | None = None) -> dict[str, Node]:
        """The node's keys and values; a key that is not known is refused with those that are."""
        if node == "":
            return {}
        if not isinstance(node, dict):
            self.wrong(where, "must be a mapping, as in `key: value`")
            return {}
        if known is None:
            return node
        names = tuple(known)
        for key in node:
            if key not in names:
                self.wrong(under(where, key), f"is not known here{near(key, names) or ': use ' + ', '.join(names)}")
        return {key: value for key, value in node.items() if key in names}


def under(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def near(word: str, words: Iterable[str]) -> str:
    """`; did you mean ...?` with the most similar words, or an empty string."""
    by_folded = {known.casefold(): known for known in words}
    found = get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(by_folded[folded]) for folded in found)}?" if found else ""
