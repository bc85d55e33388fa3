"""How a person's own words are put into a mail, where a name may be an advertisement and a line break a lie."""

from __future__ import annotations

import re

_LONGEST_NAME = 40
_NOT_IN_A_NAME = re.compile(r"[/@:<>\d]|\.\w{2}|\bwww\b", re.IGNORECASE)


def line(text: str) -> str:
    """The text on one line: forms send line breaks also in fields that have none."""
    return " ".join(text.split())


def called(name: str | None) -> str:
    """The name to greet with, or "" when it is none: strangers type addresses and offers there, for us to deliver.

    >>> called("Mara"), called("Win $$ at http://x.example"), called("visit x.example")
    ('Mara', '', '')
    """
    said = line(name or "")
    return "" if len(said) > _LONGEST_NAME or _NOT_IN_A_NAME.search(said) else said
