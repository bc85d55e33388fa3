from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.keys import hash_key
from shared.paging import Pages
from shared.security import BadLink, ExpiredLink, Signer

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECRET, OLD_SECRET = b"s" * 32, b"o" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_a_token_gives_back_what_was_signed_and_fits_into_a_link(value: object) -> None:
    signer = Signer("offer", SECRET)
    token = signer.sign(value)
    assert signer.read(token, NOW) == value
    assert all(c.isascii() and (c.isalnum() or c in "-_.") for c in token)


def test_a_token_is_good_for_one_purpose_and_one_secret() -> None:
    token = Signer("unsubscribe", SECRET).sign("lead")
    for other in (Signer("offer", SECRET), Signer("unsubscribe", OLD_SECRET)):
        with pytest.raises(BadLink):
            other.read(token, NOW)
        # Also with the other's signature put behind.
        with pytest.raises(BadLink):
            other.read(token.partition(".")[0] + "." + other.sign("x").partition(".")[2], NOW)


def test_no_changed_or_shortened_token_is_accepted() -> None:
    signer = Signer("offer", SECRET)
    token = signer.sign({"offer": "0198c5f2"})
    mutants = {token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token) - 1)}
    mutants |= {token[:i] for i in range(len(token))} | {token + "A", "." + token, "ä" + token, "\x00"}
    for mutant in mutants:
        with pytest.raises(BadLink):
            signer.read(mutant, NOW)


def test_a_token_ends_when_it_says_and_without_an_end_never() -> None:
    signer = Signer("offer", SECRET)
    token = signer.sign("x", expires=NOW + timedelta(hours=1))
    assert signer.read(token, NOW + timedelta(minutes=59)) == "x"
    with pytest.raises(ExpiredLink):
        signer.read(token, NOW + timedelta(hours=1))
    assert signer.read(signer.sign("y"), NOW + timedelta(days=36_500)) == "y"


def test_a_key_is_stored_only_as_its_hash() -> None:
    assert hash_key("sk_a") == hash_key("sk_a") != hash_key("sk_b")
    assert "sk_a" not in hash_key("sk_a")


def test_a_cursor_brings_back_the_keys_of_the_last_row() -> None:
    pages = Pages("worklist", SECRET)
    assert pages.read(pages.after([87.5, "0198c5f2", None]), NOW) == [87.5, "0198c5f2", None]
    assert pages.read(None, NOW) is None
    assert pages.read("", NOW) is None


@pytest.mark.parametrize(
    "cursor", ["x", Pages("timeline", SECRET).after([1]), Pages("worklist", OLD_SECRET).after([1])]
)
def test_a_cursor_of_another_list_or_none_at_all_is_malformed(cursor: str) -> None:
    with pytest.raises(Malformed, match="start without it"):
        Pages("worklist", SECRET).read(cursor, NOW)
