"""What money is counted in: the codes of ISO 4217 for what people pay with.

With those withdrawn since 2010, as imported deals may be in them.
"""

from __future__ import annotations

from pathlib import Path

CURRENCIES = frozenset(Path(__file__).with_suffix(".txt").read_text().split())
