"""Numbers as people and spreadsheets write them."""

from __future__ import annotations

import re
from decimal import Decimal

_LONGEST = 40
_SIGNS = "$€£¥₹₽₩₺₪₫₴฿"
_WITH_CURRENCY = re.compile(
    rf"(?P<minus>-?)(?:[A-Z]{{3}}|[A-Z]{{0,2}}[{_SIGNS}])?(?P<number>-?[\d.,]+)(?:[A-Z]{{3}}|[{_SIGNS}]|kr\.?|zł)?"
)
# Groups of two are Indian: 12,34,567. A lone group of another size is no group but decimals in another country's way.
_NUMBER = re.compile(r"-?(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d+)?")
_GROUPING = re.compile(r"[\s'’]")


def number_of(text: str, *, comma: bool) -> Decimal | None:
    """The number, None when the text is none. `comma` says which sign comes before the decimals.

    `1.234,50 €` is 1234.50 with `comma`, `1,234.50` without; `1,5` without is no number rather than 15.
    """
    if len(text) > _LONGEST or not text.isprintable():
        return None
    found = _WITH_CURRENCY.fullmatch(_GROUPING.sub("", text.replace("−", "-")))
    if found is None:
        return None
    digits = found["minus"] + found["number"]
    if comma:
        digits = digits.translate({ord("."): ",", ord(","): "."})
    return Decimal(digits.replace(",", "")) if digits.isascii() and _NUMBER.fullmatch(digits) else None


def money_of(text: str, *, comma: bool) -> str | None:
    """A decimal string as events carry money, for example `1234.50`; None when the text is no amount of money."""
    number = number_of(text, comma=comma)
    return None if number is None or number < 0 else format(number, "f")
