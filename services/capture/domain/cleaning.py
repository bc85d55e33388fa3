"""Text as it was typed or sent along, made fit to be kept, shown and counted."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST_TOKEN = 100
"""Characters of a campaign, an asset, a conversion point: words that reports group by."""

# PostgreSQL cannot store NUL. Marks that turn the direction of writing can make one name look like another.
_DROPPED = dict.fromkeys([0, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_CONTROLS = dict.fromkeys([*range(1, 32), *range(127, 160), 0x2028, 0x2029], " ")
_ONE_LINE = _CONTROLS | _DROPPED
_LINES = {**_CONTROLS, ord("\n"): "\n", ord("\t"): "\t", 0x2028: "\n", 0x2029: "\n"} | _DROPPED

_NOT_IN_TOKEN = re.compile(r"[^\w .:/+|-]+")
# An address or a telephone number has no business in a campaign, yet mail programs and forms put them there.
_SOMEBODY = re.compile(r"@|%40|(?:\d[ ./-]?){9,}", re.IGNORECASE)


def one_line(text: str) -> str:
    """`" Anna\n Ek\0 "` gives `"Anna Ek"`."""
    # Nearly everything that comes is clean already, and looking is ten times as fast as cleaning.
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(text.translate(_ONE_LINE).split())


def lines(text: str) -> str:
    """A text of several lines: line breaks as `\n`, other control characters blank, nothing round it."""
    if text.isprintable():
        return text.strip()
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_LINES).strip()


def token(text: str) -> str:
    """A word to group by, at most 100 characters; empty when it could be somebody's address or number.

    `"Spring sale <b>"` gives `"Spring sale b"`.
    """
    return _token(text) if text else ""


# The same campaigns and assets come with every visitor.
@lru_cache(4096)
def _token(text: str) -> str:
    if _SOMEBODY.search(text):
        return ""
    return " ".join(_NOT_IN_TOKEN.sub(" ", text.translate(_ONE_LINE)).split())[:LONGEST_TOKEN].rstrip()


def slug(text: str) -> str:
    """A code word: `"Paid Search"` gives `"paid_search"`."""
    return _slug(text) if text else ""


@lru_cache(4096)
def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", token(text).lower()).strip("_")
