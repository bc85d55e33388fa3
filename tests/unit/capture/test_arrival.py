"""Where somebody came from, and by which channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.domain.channel import channel
from services.capture.domain.web_address import LONGEST, web_address

A = "a.example"


@pytest.mark.parametrize(
    ("address", "path", "place", "host"),
    [
        ("https://www.a.example/x?utm_source=n&mail=q#z", "/x?utm_source=n", "https://www.a.example/x?utm_source=n", A),
        ("https://user:secret@a.example:8443/", "/", "https://a.example:8443/", A),
        ("/pricing?x=1", "/pricing", "/pricing", ""),
        ("https://a.example/leave/mara@norrvik.example/now", "/leave/-/now", "https://a.example/leave/-/now", A),
        ("https://a.example/leave/mara%40norrvik.example", "/leave/-", "https://a.example/leave/-", A),
        ("https://a.example/?utm_campaign=mara@x.example", "/?utm_campaign=", "https://a.example/?utm_campaign=", A),
        ("javascript:alert(1)", "", "", ""),
        ("data:text/html,hello", "", "", ""),
        ("http://[::1", "", "", ""),
        ("http://a.example:99999/x", "", "", ""),
        ("android-app://com.google.android.gm/", "", "", "com.google.android.gm"),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_an_address_is_cut_to_what_tells_nothing_of_its_visitor(address: str, path: str, place: str, host: str) -> None:
    found = web_address(address)
    assert (found.path, found.place, found.host) == (path, place, host)


@given(st.text(max_size=200))
def test_any_text_gives_a_path_that_is_short_and_names_nobody(text: str) -> None:
    for address in (text, f"https://a.example/{text}", f"https://a.example/x?utm_term={text}"):
        found = web_address(address)
        assert len(found.path) <= LONGEST
        assert "@" not in found.path
        assert found.path.isascii()


@pytest.mark.parametrize(
    ("medium", "source", "referrer", "clicks", "expected"),
    [
        ("", "", "", (), "direct"),
        ("", "", "own.example", (), "direct"),
        ("", "", "google.se", (), "organic_search"),
        ("", "", "search.yahoo.com", (), "organic_search"),
        ("", "", "duckduckgo.com", (), "organic_search"),
        ("", "", "l.facebook.com", (), "social"),
        ("", "", "notfacebook.com", (), "referral"),
        ("", "", "partner.example", (), "referral"),
        ("", "", "google.se", ("gclid",), "paid_search"),
        ("", "", "", ("fbclid",), "social"),
        ("", "", "", ("li_fat_id",), "paid_social"),
        ("cpc", "google", "", (), "paid_search"),
        ("cpc", "facebook", "", ("fbclid",), "paid_social"),
        ("email", "newsletter", "google.se", ("gclid",), "email"),
        ("affiliate", "", "", (), "affiliate"),
        ("cpm", "", "", (), "display"),
        ("podcast", "", "", (), "other"),
    ],
)
def test_the_channel(medium: str, source: str, referrer: str, clicks: tuple[str, ...], expected: str) -> None:
    assert channel(medium, source, referrer, clicks, own_host="own.example") == expected
