"""What was posted is understood, or every member that is wrong is named."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.bodies import read_activities, read_activity, read_lead
from services.capture.domain.submission import Submission
from services.capture.form import lead_of
from services.capture.misread import place_of
from services.capture.parsing import Context, body_hash, understand
from shared.errors import Malformed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CORPORA = Path(os.environ.get("LEADLINE_SHARED", Path(__file__).parents[4] / "shared")) / "data" / "bad-input"
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of bad input are not beside the project")


def context(**known: Any) -> Context:
    return Context(submission_id=UUID(int=1), now=NOW, **known)


def taken(body: dict[str, Any], **known: Any) -> Submission:
    return understand(read_lead(json.dumps({"email": "mara@norrvik.example", **body}).encode()), context(**known))


def problems(body: dict[str, Any], **known: Any) -> dict[str, str]:
    with pytest.raises(Malformed) as refusal:
        taken(body, **known)
    return dict(refusal.value.problems)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("12.50", "12.50"), (12.5, "12.5"), (0, "0"), ("1E+3", "1000"), ("0.0001", "0.0001"),
        (999999999999999, "999999999999999"), ("0.1000", "0.1000"),
        ("0E-999999999", "0"), ("-0", "0"), ("7." + "0" * 5_000, "7"),
    ],
)  # fmt: skip
def test_money_is_a_plain_decimal(value: Any, said: str) -> None:
    activity = taken({"activity": {"type": "purchase", "value": value, "currency": "sek"}}).activity
    assert (activity.value, activity.currency) == (said, "SEK")


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "1e999", 1e300, "0.00001", "1000000000000000", "x"])
def test_what_is_no_money_is_refused(value: Any) -> None:
    assert "/activity/value" in problems({"activity": {"type": "purchase", "value": value}})


@pytest.mark.parametrize("currency", ["XYZ", "EURO", "€", "E U R", "ABC"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    assert "/activity/currency" in problems({"activity": {"type": "purchase", "value": 1, "currency": currency}})


def test_money_without_a_currency_is_in_the_installations() -> None:
    assert taken({"activity": {"type": "purchase", "value": 1}}, currency="NOK").activity.currency == "NOK"


@pytest.mark.parametrize(
    ("ago", "trusted", "fits"),
    [(timedelta(days=6, hours=23), False, True), (timedelta(days=8), False, False), (timedelta(days=8000), True, True)],
)
def test_how_far_back_one_may_go(ago: timedelta, trusted: bool, fits: bool) -> None:
    body = {"activity": {"at": (NOW - ago).isoformat()}}
    if fits:
        assert taken(body, trusted=trusted).activity.at == NOW - ago
    else:
        assert "7 days" in problems(body, trusted=trusted)["/activity/at"]


def test_times_are_told_in_utc_and_never_in_the_future() -> None:
    assert taken({"activity": {"at": "2026-03-01T14:30:00+05:00"}}).activity.at == datetime(
        2026, 3, 1, 9, 30, tzinfo=UTC
    )
    assert taken({"activity": {"at": "2026-03-09T00:00:00Z"}}).activity.at == NOW
    assert taken({"activity": {"at": "2026-03-01T14:30:00+05:00"}}).activity.at.tzinfo is UTC
    assert "1970" in problems({"activity": {"at": "0001-01-01T00:00:00+10:00"}}, trusted=True)["/activity/at"]


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"a": 1, "b": 1.5, "c": True, "d": None, "e": "", "f": " x "}, {"a": "1", "b": "1.5", "c": "true", "f": "x"}),
        ({"many": ["a", 2, False]}, {"many": "a, 2, false"}),
        ({"text": "line one\r\nline two"}, {"text": "line one\nline two"}),
        ({" Spaced  name ": "x"}, {"Spaced name": "x"}),
    ],
)
def test_answers_are_text(fields: dict[str, Any], answers: dict[str, str]) -> None:
    assert taken({"fields": fields}).answers == answers


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [{"a": 1}], ["x"] * 101])
def test_answers_that_are_no_text_are_refused(value: Any) -> None:
    assert "/fields/a" in problems({"fields": {"a": value}})


def test_more_answers_than_anybody_gives_are_refused() -> None:
    assert "/fields" in problems({"fields": {f"f{n}": 1 for n in range(101)}})


@given(st.permutations(["email", "name", "fields", "activity"]), st.permutations(["x", "y", "z"]))
def test_the_order_of_members_makes_no_other_body(members: list[str], answers: list[str]) -> None:
    whole = {"email": "m@norrvik.example", "name": "M", "fields": {n: n for n in "xyz"}, "activity": {"type": "call"}}
    shuffled = {name: whole[name] for name in members} | {"fields": {name: name for name in answers}}
    first, second = (
        read_lead(json.dumps(body, indent=indent).encode()) for body, indent in ((whole, None), (shuffled, 3))
    )
    assert body_hash(first, b"s") == body_hash(second, b"s")
    assert body_hash(first, b"s") != body_hash(first, b"another secret")
    assert body_hash(first, b"s") != body_hash(read_lead(b'{"email": "m@norrvik.example"}'), b"s")


def test_a_form_and_json_that_say_the_same_are_the_same_body() -> None:
    form = {
        "email": "m@norrvik.example",
        "fields.a": "1",
        "consent.mail": "on",
        "consent.mail.text": "Yes",
        "page": "demo",
    }
    body = {"email": "m@norrvik.example", "fields": {"a": "1"}, "consent": {"mail": {"granted": True, "text": "Yes"}}}
    said = msgspec.structs.replace(read_lead(json.dumps(body).encode()))
    assert understand(lead_of(form), context()) == understand(said, context())


@pytest.mark.parametrize(
    ("error", "place"),
    [
        ("Object contains unknown field `emial`", ("/emial", "is not known here; did you mean email?")),
        ("Object contains unknown field `a/b` - at `$.source`", ("/source/a~1b", "is not known here")),
        ("Expected `str | null`, got `int` - at `$.email`", ("/email", "must be text, not a whole number")),
        (
            "Expected `int` >= 0 - at `$.activity.duration_seconds`",
            ("/activity/duration_seconds", "must be at least 0"),
        ),
        ("Number out of range - at `$.fields[...]`", ("/fields/*", "Number out of range")),
        ("Expected `object`, got `str` - at `$.activities[3]`", ("/activities/3", "must be an object, not text")),
    ],
)
def test_a_decoders_words_become_a_pointer_and_ours(error: str, place: tuple[str, str]) -> None:
    assert place_of(error, ["email", "phone"]) == place


@pytest.mark.parametrize(
    ("read", "raw", "place"),
    [
        (read_lead, b"", ("", "is empty, or ends before its end")),
        (read_lead, b'{"activity":{"value":"12,5"}}', ("/activity/value", "must be an amount like 12.50")),
        (read_activities, b"{}", ("/activities", "is needed")),
        (read_activities, b'{"activities":[]}', ("/activities", "must not be empty")),
        (read_activities, json.dumps({"activities": [1] * 1001}).encode(), (
            "/activities", "must have at most 1000 entries"
        )),
    ],
)  # fmt: skip
def test_what_the_decoder_really_says_is_told_in_our_words(
    read: Callable[[bytes], object], raw: bytes, place: tuple[str, str]
) -> None:
    assert refused(lambda: read(raw)) == (place,)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"Ida \ud83d", "Ida \ufffd"),
        (r"\udE00 Ida", "\ufffd Ida"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"C:\\ud83d \ud83d", "C:\\ud83d \ufffd"),
    ],
)
def test_a_sign_that_a_script_cut_in_two_loses_no_lead(written: str, name: str) -> None:
    raw = f'{{"email": "ida@norrvik.example", "name": "{written}"}}'.encode()
    assert read_lead(raw).name == name
    item = f'{{"activities": [{{"type": "chat_message", "visitor_id": "v", "text": "{written}"}}]}}'.encode()
    assert read_activity(read_activities(item).activities[0]).text == name


def test_half_a_sign_excuses_no_other_mistake() -> None:
    for raw in (
        rb'{"name": "\ud83d", "email"',
        rb'{"name": "\ud83d", "emial": ""}',
        rb'{"name": "\ud83"}',
        rb'{"name": "\Ud83d"}',
    ):
        assert refused(lambda raw=raw: read_lead(raw))


def test_bytes_in_another_encoding_are_called_that() -> None:
    assert refused(lambda: read_lead('{"email": "å@b.example"}'.encode("latin-1"))) == (("", "is not UTF-8"),)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
members = st.sampled_from([
    "email", "phone", "name", "fields", "activity", "source", "consent", "message", "visitor_id", "history", "website",
    "type", "at", "value", "url", "click_ids", "granted", "text",
])  # fmt: skip


@given(st.dictionaries(members, json_values | st.dictionaries(members, json_values, max_size=4), max_size=8))
def test_any_body_is_understood_or_refused_with_a_pointer(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    wrong = refused(lambda: understand(read_lead(raw), context()))
    assert wrong is None or (wrong and all(pointer == "" or pointer.startswith("/") for pointer, _ in wrong))


def refused(work: Callable[[], object]) -> Sequence[tuple[str, str]] | None:
    """What is said to be wrong; None when nothing is."""
    try:
        work()
    except Malformed as refusal:
        return refusal.problems
    return None


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert refused(lambda: read_lead(raw)) != ()
    assert refused(lambda: read_activity(msgspec.Raw(raw))) != ()


@needs_corpora
def test_every_naughty_string_is_kept_or_refused_in_every_member() -> None:
    naughty = json.loads((CORPORA / "blns.json").read_text())
    assert len(naughty) == 515
    for text in naughty:
        submission = taken({
            "name": text[:200], "company": text[:200], "message": text, "fields": {"a": text},
            "source": {"campaign": text, "url": text, "referrer": text, "medium": text},
            "activity": {"type": "form_submitted", "asset": text, "url": text, "outcome": text},
        })  # fmt: skip
        kept = msgspec.json.encode(submission).decode()
        assert "\\u0000" not in kept
        assert "\0" not in kept
        assert "@" not in submission.activity.asset + submission.activity.path + submission.touch.campaign


@needs_corpora
def test_names_of_all_the_world_are_kept_letter_by_letter() -> None:
    names = json.loads((CORPORA / "cldr_person_names.json").read_text())
    forms = [text for one in names for text in _texts(one) if text.strip() == text and "  " not in text]
    assert len(forms) >= 15
    assert [name for name in forms if taken({"name": name}).name != " ".join(name.split())] == []


def _texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [text for one in inside for text in _texts(one)]


@needs_corpora
def test_messages_of_any_kind_are_kept_whole() -> None:
    with gzip.open(CORPORA / "sms_spam_masked.tsv.gz", "rt", encoding="utf-8", newline="\n") as file:
        messages = [line.rstrip("\n").partition("\t")[2] for line in file][:2000]
    assert len(messages) == 2000
    changed = [text for text in messages if text.isprintable() and taken({"message": text}).message != text.strip()]
    assert changed == []
