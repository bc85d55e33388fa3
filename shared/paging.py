"""Where the next page of a list begins: the sort keys of the last row, as a token the caller cannot make up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.errors import Malformed
from shared.security import BadLink, Signer


class Pages:
    """Cursors of one list. `Pages("worklist", secret).after([score, str(lead_id)])` gives the `next` of an answer.

    Keys travel as JSON: ids and times as text, numbers as numbers.
    """

    def __init__(self, name: str, secret: bytes) -> None:
        self._signer = Signer(f"page {name}", secret)

    def after(self, keys: Sequence[str | int | float | None]) -> str:
        return self._signer.sign(list(keys))

    def read(self, cursor: str | None, now: datetime) -> list[Any] | None:
        """The keys to go on after; None for the first page. Raises `Malformed` for a cursor of another list."""
        if not cursor:
            return None
        try:
            return self._signer.read(cursor, now)
        except BadLink:
            raise Malformed("cursor is not one this list has given out; start without it") from None
