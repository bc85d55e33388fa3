from __future__ import annotations

import pytest

from services.scoring.domain.conditions import (
    Between,
    Condition,
    Contains,
    Every,
    IsKnown,
    Not,
    OneOf,
    Some,
    StartsWith,
    as_number,
    fields,
)

SIZE = "answers.size"


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (OneOf(SIZE, frozenset({"51-200"})), " 51-200 ", True),
        (OneOf(SIZE, frozenset({"head of sales"})), "HEAD  of\tSales", True),
        (OneOf(SIZE, frozenset({"51-200"})), "51-2000", False),
        (OneOf(SIZE, frozenset({"51-200"})), None, False),
        (Contains(SIZE, ("head",)), "Group Head, Sales", True),
        (Contains(SIZE, ("head",)), "Ahead of the rest", False),
        (Contains(SIZE, ("vp",)), "SVP", False),
        (Contains(SIZE, ("head of sales",)), "Head-of-Sales EMEA", True),
        (Contains(SIZE, ("head",)), None, False),
        (StartsWith(SIZE, ("/pricing", "/plans")), "/Pricing/enterprise", True),
        (StartsWith(SIZE, ("/pricing",)), "/en/pricing", False),
        (Between(SIZE, 50, None), "1,200", True),
        (Between(SIZE, 50, 60), "60", True),
        (Between(SIZE, 50, 60), "60.5", False),
        (Between(SIZE, None, 60), "-3", True),
        (Between(SIZE, 50, None), "many", False),
        (Between(SIZE, None, 60), None, False),
        (IsKnown(SIZE, True), "x", True),
        (IsKnown(SIZE, True), "  ", False),
        (IsKnown(SIZE, False), None, True),
        (Not(IsKnown(SIZE, True)), None, True),
        (Every((IsKnown(SIZE, True), Between(SIZE, 1, 2))), "2", True),
        (Every((IsKnown(SIZE, True), Between(SIZE, 1, 2))), "3", False),
        (Some((Between(SIZE, 1, 2), Between(SIZE, 3, 4))), "3", True),
        (Some((Between(SIZE, 1, 2), Between(SIZE, 3, 4))), "5", False),
    ],
)
def test_a_condition_is_read_as_people_would_read_it(condition: Condition, value: str | None, holds: bool) -> None:
    assert condition.holds({} if value is None else {SIZE: value}) is holds


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (" 1,200.5 ", 1200.5), ("1 200", 1200), ("nan", None), ("inf", None), ("1_000", None), ("", None)],
)
def test_only_what_is_written_as_a_number_is_one(text: str, number: float | None) -> None:
    assert as_number(text) == number


def test_a_condition_names_the_fields_it_looks_at() -> None:
    condition = Every((IsKnown("company", True), Not(Some((OneOf("a", frozenset()), Between("b", 1, 2))))))
    assert set(fields(condition)) == {"company", "a", "b"}
