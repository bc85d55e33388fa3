"""Contact points: the grammar corpora where they are at hand, and what people type."""

from __future__ import annotations

import json
import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.capture.domain.contact import NotAContactPoint, NotAnAddress, NotAPhone, normal_email, normal_phone

CORPORA = Path(os.environ.get("LEADLINE_SHARED", Path(__file__).parents[4] / "shared")) / "data" / "bad-input"
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of bad input are not beside the project")

ACCEPTED = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN"}
UNUSUAL = {"ISEMAIL_RFC5321"}  # valid, yet a form may refuse quoted local parts, address literals and bare host names


def _printed_controls(text: str) -> str:
    return "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x241F else "\x7f" if c == "\u2421" else c for c in text)


def _is_address(text: str) -> bool:
    try:
        normal_email(text)
    except NotAnAddress:
        return False
    return True


@needs_corpora
def test_the_address_grammar_agrees_with_every_verdict_of_the_isemail_corpus() -> None:
    tests = ET.parse(CORPORA / "isemail-tests-original.xml").getroot().findall("test")
    wrong: list[str] = []
    for case in tests:
        address, category = _printed_controls(case.findtext("address") or ""), case.findtext("category")
        if category not in UNUSUAL and _is_address(address) != (category in ACCEPTED):
            wrong.append(f"{category}: {address!r}")
    assert len(tests) == 279
    assert wrong == []


@needs_corpora
def test_every_example_number_of_every_country_is_read_in_each_way_of_writing_it() -> None:
    examples = json.loads((CORPORA / "phone_examples.json").read_text())
    wrong: list[str] = []
    for example in examples:
        for written in (example["e164"], example["international"], example["national"]):
            try:
                found = normal_phone(written, example["region"])
            except NotAPhone:
                found = None
            if found != (example["e164"] if example["valid"] else None):
                wrong.append(f"{example['region']} {written}: {found}")
    assert len(examples) == 1619
    assert wrong == []


@needs_corpora
def test_no_naughty_string_does_more_than_be_refused_or_accepted() -> None:
    for text in json.loads((CORPORA / "blns.json").read_text()):
        for attempt in (normal_email, normal_phone, lambda phone: normal_phone(phone, "US")):
            _is_stable(attempt, text)


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna.Ek@Example.COM\u00a0", "anna.ek@example.com"),
        ("\ufeffanna+fair@example.com", "anna+fair@example.com"),
        ("o'brien@example.co.uk", "o'brien@example.co.uk"),
        ("anna@Bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("Jörg@example.com", "jörg@example.com"),
        ("Jo\u0308rg@example.com", "jörg@example.com"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_one_mailbox_has_one_way_of_being_written(typed: str, normal: str) -> None:
    assert normal_email(typed) == normal
    assert normal_email(normal) == normal


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "it is empty"),
        ("anna", "there is no @ in it"),
        ("anna@ek@example.com", "there is more than one @ in it"),
        ("anna@example.com\nbert@example.com", "there is more than one @ in it"),
        ("anna@example", "should have a period"),
        ("anna@gmail,com", "invalid characters"),
        ("anna@10.0.0.1", "ends in a number"),
        ("anna@crm.local", "reserved name"),
        ('"anna ek"@example.com', "quoting"),
        ("Anna Ek <anna@example.com>", "display name"),
        ("anna@example.com\r\n", "invalid characters"),
        ("a" * 65 + "@example.com", "too long"),
        ("a@" + "b" * 400 + ".com", "at most 254 characters"),
        ("a" * 60 + "@" + ("b" * 60 + ".") * 3 + "c" * 20 + ".com", "at most 254 characters"),
        ("\ud800@example.com", "unsafe characters"),
        ("anna@\ud800.com", "unsafe characters"),
    ],
)
def test_what_is_no_address_is_refused_with_its_reason(typed: str, reason: str) -> None:
    with pytest.raises(NotAnAddress) as refusal:
        normal_email(typed)
    assert reason in refusal.value.reason


@pytest.mark.parametrize(
    ("typed", "region", "normal"),
    [
        ("030 / 90 18 20", "de", "+4930901820"),
        ("+49 (0)30 901820", None, "+4930901820"),
        ("(+49) 30 901820", "US", "+4930901820"),
        ("0049 30 901820", None, "+4930901820"),
        ("tel:+1-650-253-0000", None, "+16502530000"),
        ("650.253.0000 ext. 12", "US", "+16502530000"),
        ("٠٣٠ ٩٠١٨٢٠", "DE", "+4930901820"),
        ("０３－３２２４－９９９９", "JP", "+81332249999"),
    ],
)
def test_one_telephone_has_one_way_of_being_written(typed: str, region: str | None, normal: str) -> None:
    assert normal_phone(typed, region) == normal
    assert normal_phone(normal) == normal


@pytest.mark.parametrize(
    ("typed", "region", "reason"),
    [
        ("  ", "DE", "it is empty"),
        ("030 901820", None, "write it with the country code"),
        ("030 901820", "XX", "its country is not a two-letter code"),
        ("+999 123456", "DE", "its country code does not exist"),
        ("+49 1", None, "too few digits"),
        ("+49 30 9018 2011 1111 11111", None, "too many digits"),
        ("+1 555 555 5555", None, "no such number is given out"),
        ("call me", "US", "signs in it"),
        ("call 650 253 0000 now", "US", "signs in it"),
        ("6502530000\x00", "US", "signs in it"),
        ("(" * 40, "US", "not a telephone number"),
        ("1" * 41, "US", "at most 40 characters"),
    ],
)
def test_what_is_no_telephone_number_is_refused_with_its_reason(typed: str, region: str | None, reason: str) -> None:
    with pytest.raises(NotAPhone) as refusal:
        normal_phone(typed, region)
    assert reason in refusal.value.reason


def test_ten_megabytes_of_anything_are_refused_before_they_are_parsed() -> None:
    started = time.perf_counter()
    for huge in ("a@" * 5_000_000, "1" * 10_000_000, "ä" * 10_000_000, "." * 10_000_000):
        with pytest.raises(NotAnAddress):
            normal_email(huge)
        with pytest.raises(NotAPhone):
            normal_phone(huge, "US")
    assert time.perf_counter() - started < 2


@settings(deadline=None)
@given(st.text(max_size=350))
def test_any_text_is_an_address_for_good_or_is_refused_with_a_reason(text: str) -> None:
    _is_stable(normal_email, text)


@settings(deadline=None)
@given(st.emails())
def test_every_address_hypothesis_can_think_of_is_written_the_same_twice(text: str) -> None:
    _is_stable(normal_email, text)


@settings(deadline=None)
@given(
    st.text(alphabet=st.sampled_from("0123456789+()-./ x"), max_size=45),
    st.sampled_from([None, "US", "DE", "IT", "xx"]),
)
def test_any_run_of_digits_is_a_telephone_for_good_or_is_refused_with_a_reason(text: str, region: str | None) -> None:
    _is_stable(lambda phone: normal_phone(phone, region), text)


def _is_stable(normal: Callable[[str], str], text: str) -> None:
    try:
        once = normal(text)
    except NotAContactPoint as refusal:
        reason = refusal.reason
        once = ""
    else:
        reason = ""
    assert reason or normal(once) == once
