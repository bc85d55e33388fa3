"""How a figure is written: thousands marks, and a true minus."""

from __future__ import annotations

from decimal import Decimal

MINUS = "−"


def figure(value: int | Decimal) -> str:
    """`4812` is `4,812`."""
    return f"{value:,}".replace("-", MINUS)


def whole(value: float | Decimal | None) -> str:
    """A score without its decimal: `84.4` is `84`, None is `unknown`."""
    return "unknown" if value is None else f"{value:z,.0f}".replace("-", MINUS)
