from __future__ import annotations

import pytest

from services.scoring.domain.fit import fit_of, grade_of
from tests.support.rule_examples import rule_data, rules

FIT = rule_data()["fit"]


@pytest.mark.parametrize(
    ("known", "points", "grade"),
    [
        ({}, 0, "unknown"),
        ({"email.kind": "free"}, -50, "unknown"),
        ({"company": "Norrvik"}, 0, "unknown"),  # no rule asks for it
        ({"email.kind": "business"}, 150, "C"),
        ({"answers.employees": "12"}, 0, "D"),  # known, and not what we look for
        ({"email.kind": "free", "answers.employees": "900"}, 250, "B"),
        ({"email.kind": "business", "answers.employees": "900"}, 450, "A"),
    ],
)
def test_an_unknown_fit_is_not_a_bad_one(known: dict[str, str], points: int, grade: str) -> None:
    given = fit_of(known, rules())
    assert sum(given.values()) == points
    assert grade_of(known, points, rules()) == grade


def test_a_group_counts_up_to_its_cap_in_the_order_of_the_rules_and_each_way_apart() -> None:
    known = {"company": "Norrvik", "email.kind": "business", "language": "de", "kind": "person"}
    capped = {
        "first": {"says": "1", "points": 15, "group": "browsing", "when": {"field": "company", "known": True}},
        "second": {"says": "2", "points": 15, "group": "browsing", "when": {"field": "email.kind", "is": "business"}},
        "third": {"says": "3", "points": -9, "group": "browsing", "when": {"field": "language", "is": "de"}},
        "fourth": {"says": "4", "points": -9, "group": "browsing", "when": {"field": "kind", "is": "person"}},
        "fifth": {"says": "5", "points": 7, "when": {"field": "company", "known": True}},
    }
    assert fit_of(known, rules(fit=FIT | {"rules": capped})) == {"first": 120, "third": -90, "fourth": -30, "fifth": 70}
