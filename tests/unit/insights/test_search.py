"""Leads are found by how people begin to type who they look for."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.insights.domain.person import Person
from services.insights.domain.search import query_of, words_of


def test_a_person_is_found_by_every_word_of_name_company_and_address() -> None:
    person = Person(name="Zoë de Åberg", company="Norrvik & Söner", email="zoe.aberg@norrvik.example")
    assert words_of(person).split() == ["aberg", "de", "example", "norrvik", "soner", "zoe"]


def test_a_number_is_found_with_and_without_its_country() -> None:
    assert words_of(Person(phone="+46701740642")).split() == ["01740642", "46701740642", "6701740642", "701740642"]
    assert query_of("+46 70 174") == "'4670174':*"
    assert query_of("070-174 06 42") == "'701740642':*"


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("Mara", "'mara':*"),
        ("  Mara   LINDQ ", "'mara':* & 'lindq':*"),
        ("mara@norrvik.example", "'mara':* & 'norrvik':* & 'example':*"),
        ("O'Brien\\' | !(x) & :*", "'o':* & 'brien':* & 'x':*"),
        ("Łódź", "'lodz':*"),
        ("", ""),
        ("!?", ""),
        ("(((((", ""),
    ],
)
def test_what_is_typed_becomes_words_and_nothing_else(typed: str, query: str) -> None:
    assert query_of(typed) == query


def test_very_many_and_very_long_words_are_cut() -> None:
    assert query_of("a " * 100).count("&") == 7
    assert len(query_of("x" * 500)) == 64


def test_who_has_no_name_is_called_by_what_stands_for_it() -> None:
    lead_id = UUID("0198c5f2-0000-7000-8000-0000000000ab")
    assert Person(email="mara@norrvik.example", company="Norrvik").called(lead_id) == "mara@norrvik.example"
    assert Person().called(lead_id) == "Lead 00ab"
    assert Person(name="Mara van Lindqvist").initials == "ML"
    assert (Person(email="zoe@x.example").initials, Person().initials) == ("Z", "?")
