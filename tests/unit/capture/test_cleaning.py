"""Text is kept as it was meant, without what harms who reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.domain.cleaning import LONGEST_TOKEN, lines, one_line, slug, token

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  Mara   Lindqvist ", "Mara Lindqvist"),
        ("Mara\nLindqvist\t\r", "Mara Lindqvist"),
        ("Mara\0 Lind\0qvist", "Mara Lindqvist"),
        ("\u202eexe.ann\u202c", "exe.ann"),
        ("José\u00a0Müller", "José Müller"),
        ("न\u094dद", "न\u094dद"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("", ""),
    ],
)
def test_one_line(text: str, clean: str) -> None:
    assert one_line(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" a\r\nb\rc\n", "a\nb\nc"),
        ("a\tb\x07c", "a\tb c"),
        ("a\u2028b", "a\nb"),
        ("\0", ""),
    ],
)
def test_lines(text: str, clean: str) -> None:
    assert lines(text) == clean


@given(texts)
def test_cleaned_text_has_no_controls_and_is_clean_already(text: str) -> None:
    for clean in (one_line(text), lines(text)):
        assert not any(ord(sign) < 32 and sign not in "\n\t" for sign in clean)
        assert not any(0x202A <= ord(sign) <= 0x202E or 0x2066 <= ord(sign) <= 0x2069 for sign in clean)
    assert one_line(one_line(text)) == one_line(text)
    assert lines(lines(text)) == lines(text)
    assert "\n" not in one_line(text)


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=100))
def test_looking_first_finds_the_same_as_cleaning(text: str) -> None:
    assert one_line(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Spring sale <b>", "Spring sale b"),
        ("utm=summer-24|A:B/c", "utm summer-24|A:B/c"),
        ("Herbst-Aktion für Köln", "Herbst-Aktion für Köln"),
        ("to mara@norrvik.example", ""),
        ("mara%40norrvik.example", ""),
        ("+46 70 174 06 42", ""),
        ("20260301", "20260301"),
        ("x" * 300, "x" * LONGEST_TOKEN),
    ],
)
def test_a_token_groups_and_names_nobody(text: str, kept: str) -> None:
    assert token(text) == kept


@given(texts)
def test_no_token_is_an_address(text: str) -> None:
    assert "@" not in token(text)
    assert len(token(text)) <= LONGEST_TOKEN


@pytest.mark.parametrize(("text", "code"), [("Paid Search", "paid_search"), ("E-Mail!", "e_mail"), ("__", "")])
def test_slug(text: str, code: str) -> None:
    assert slug(text) == code
