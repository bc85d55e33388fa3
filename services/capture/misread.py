"""What a decoder says is wrong with a body, as the member it means and what is wrong there, in our words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from services.capture.domain import cleaning

LONGEST_QUOTED = 200

_PLACE = re.compile(r"^(?P<why>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_BOUND = re.compile(r"Expected `\w+`(?P<length> of length)? (?P<side>[<>])= (?P<bound>\d+)")
# By what a message has in it.
_PLAIN = {
    "Invalid decimal string": "must be an amount like 12.50",
    "of length >= 1": "must not be empty",
    "Invalid UUID": "must be an id as it was given out, a UUID",
    "timezone": "needs its timezone, as in 2026-03-01T09:30:00Z",
    "RFC3339": "must be a time like 2026-03-01T09:30:00Z",
}
_IN_WORDS = {
    "str": "text",
    "int": "a whole number",
    "object": "an object",
    "array": "a list",
    "bool": "true or false",
    "datetime": "a time like 2026-03-01T09:30:00Z",
    "decimal": "an amount",
    "null": "null",
    "float": "a number",
}


def place_of(error: str, names: Collection[str]) -> tuple[str, str]:
    """msgspec's message as a JSON pointer and what is wrong there, in our words."""
    found = _PLACE.match(error)
    assert found
    pointer = re.sub(r"\[(\d+)\]", r"/\1", (found["path"] or "").replace("[...]", "/*").replace(".", "/"))
    if unknown := _UNKNOWN.fullmatch(found["why"]):
        return f"{pointer}/{escaped(unknown['name'])}", "is not known here" + meant(unknown["name"], names)
    if missing := _MISSING.fullmatch(found["why"]):
        return f"{pointer}/{escaped(missing['name'])}", "is needed"
    return pointer, _in_words(found["why"])


def _in_words(why: str) -> str:
    for part, words in _PLAIN.items():
        if part in why:
            return words
    if bound := _BOUND.fullmatch(why):
        side = "most" if bound["side"] == "<" else "least"
        verb, entries = ("have", " entries") if bound["length"] else ("be", "")
        return f"must {verb} at {side} {bound['bound']}{entries}"
    if (expected := _EXPECTED.fullmatch(why)) and expected["got"]:
        wanted = [_IN_WORDS.get(kind, kind) for kind in expected["wanted"].split(" | ") if kind != "null"]
        return f"must be {' or '.join(wanted)}, not {_IN_WORDS.get(expected['got'], expected['got'])}"
    return why.replace("`", "")[:200]


def meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:50], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def escaped(name: str) -> str:
    return cleaning.one_line(name)[:LONGEST_QUOTED].replace("~", "~0").replace("/", "~1")


def shape(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if str(error) == "Input data was truncated":
        return "is empty, or ends before its end"
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
