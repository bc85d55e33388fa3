"""How points, shares and sums are written: a true minus, a no-break space before a unit."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from shared.pages.figures import MINUS

GAP = "\u00a0"
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


def points(value: float | Decimal | None) -> str:
    """A score or its part to one decimal: `84` is `84.0`, None is `unknown`."""
    return "unknown" if value is None else f"{value:z,.1f}".replace("-", MINUS)


def signed(value: float | Decimal) -> str:
    """Points won or lost: `+40.0`, `−4.1`, and `0.0` without a sign."""
    return points(value) if round(value, 1) == 0 else f"{value:+,.1f}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share of one: `0.708` is `70.8 %`, None is `unknown`.

    Half a tenth goes up, as in `toFixed` of the pages' scripts: a figure must not change when a script writes it again.
    """
    if share is None:
        return "unknown"
    return f"{Decimal(share * 100).quantize(Decimal('0.1'), ROUND_HALF_UP)}{GAP}%"


def money(amount: str | Decimal, currency: str) -> str:
    """`money("18400.00", "EUR")` is `€ 18,400`; cents are written when there are any."""
    value = Decimal(amount)
    digits = f"{value:z,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"
    return f"{_SIGNS.get(currency, currency)}{GAP}{digits}".replace("-", MINUS)
