"""How a stranger's name is put into a mail, where it may be an advertisement."""

from __future__ import annotations

import re

_LONGEST_NAME = 40
_NOT_IN_A_NAME = re.compile(r"[/@:<>\d]|\.\w{2}|\bwww\b", re.IGNORECASE)


def called(name: str | None) -> str:
    """The name to greet with, or "" when it is none: strangers type addresses and offers there, for us to deliver.

    >>> called("Mara"), called("Win $$ at http://x.example"), called("visit x.example")
    ('Mara', '', '')
    """
    said = " ".join((name or "").split())
    return "" if len(said) > _LONGEST_NAME or _NOT_IN_A_NAME.search(said) else said
