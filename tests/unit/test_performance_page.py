"""What the page on performance shows is what was measured: its tables and pictures are made of one file."""

from __future__ import annotations

import re
from pathlib import Path

from bench.report import TABLES, digest, read, renewed

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docs/performance"
PAGE = (PROJECT / "docs/performance.md").read_text()
PART_OF = {"open-loop": "intake", "to-sales": "sales", "growth": "size", "consumers": "consumers"}


def test_the_tables_say_what_was_measured() -> None:
    assert renewed(PAGE, read(FOLDER)) == PAGE, "run python -m bench.report docs/performance"
    shown = set(re.findall(r"<!-- measured: ([a-z]+) -->\n\|", PAGE))
    assert shown == {"summary", *(name for name, (part, _) in TABLES.items() if part in read(FOLDER))}


def test_the_pictures_were_drawn_of_what_was_measured() -> None:
    measured = read(FOLDER)
    shown = set(re.findall(r"\]\(performance/([a-z-]+)\.svg\)", PAGE))
    assert shown == set(PART_OF) == {picture.stem for picture in FOLDER.glob("*.svg")}
    for name, part in PART_OF.items():
        assert digest(measured[part]) in (FOLDER / f"{name}.svg").read_text(), f"{name} is not of these figures"


def test_a_table_follows_its_figures() -> None:
    page = "a\n<!-- measured: facts -->\nold\n<!-- end -->\nb\n"
    assert "| ratio | 0.50 |" in renewed(page, {"facts": {"leadline": 50, "inserts": 100}})
    assert renewed(page, {}) == page
