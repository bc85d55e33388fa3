"""The map: what is wrong with it is said all at once, each with its key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.capture.importing.findings import MapError
from services.capture.importing.map_file import read_map
from services.capture.importing.mapping import bind

LEAST = 'site: demo\nlead: {email: "{Mail}"}\n'


def wrong(text: str) -> list[tuple[str, str]]:
    with pytest.raises(MapError) as refusal:
        read_map(text)
    return list(refusal.value.problems)


def only_wrong(text: str) -> tuple[str, str]:
    [problem] = wrong(text)
    return problem


def test_the_least_map_needs_a_site_and_a_contact_point() -> None:
    assert read_map(LEAST).site == "demo"
    assert wrong("") == [
        ("lead", "is needed: it says which columns have the e-mail address or the telephone number"),
        ("site", "is needed: the name of the site whose leads these are, such as demo"),
        ("lead", "needs an email or a phone: a lead is somebody who can be reached"),
    ]


@pytest.mark.parametrize(
    ("addition", "where", "why"),
    [
        ("consnet: {}", "consnet", "did you mean 'consent'"),
        ("lead2: {}", "lead2", "did you mean 'lead'"),
        ("source: {chanel: x}", "source.chanel", "did you mean 'channel'"),
        ("source: [x]", "source", "must be a mapping"),
        ("fields: {Full Name: x}", "fields.Full Name", "small letters"),
        ('fields: {a: "{Mail"}', "fields.a", "a brace is open"),
        ('fields: {a: "{}"}', "fields.a", "{} names no column"),
        ("fields: {a: {Mail}}", "fields.a", 'put the template between quotes: "{Mail}"'),
        ("fields: {a: {column: Mail}}", "fields.a", "needs values"),
        ("fields: {a: {column: Mail, values: {x: [y]}}}", "fields.a.values.x", "must be a single value"),
        ("activity: {type: form_submited}", "activity.type", "did you mean 'form_submitted'"),
        ("activity: {when: {Mail: x}}", "activity.type", "is needed"),
        ("activities: {type: call}", "activities", "must be a list"),
        ("activities: [{type: call, typo: 1}]", "activities[0].typo", "is not known here"),
        ("activities: [{type: call, when: Mail}]", "activities[0].when", "must be a mapping"),
        ("activities: [{type: call, when: {}}]", "activities[0].when", "must name a column"),
        ("activities: [{type: call, when: {Mail: {at_lest: 1}}}]", "activities[0].when.Mail.at_lest", "at_least"),
        ("activities: [{type: call, when: {Mail: {at_least: x}}}]", "activities[0].when.Mail.at_least", "a number"),
        ("activities: [{type: call, when: {Mail: {answered: x}}}]", "activities[0].when.Mail.answered", "yes or no"),
        ("activities: [{type: call, at: soon}]", "activities[0].at", "'soon' is no date"),
        ("activities: [{type: call, at_format: '%d.%m.'}]", "activities[0].at_format", "no pattern with a year"),
        ("activities: [{type: call, times: 2, at_most: 1000}]", "activities[0].at_most", "from 1 to 100"),
        ("activities: [{type: purchase, value: 5}]", "activities[0].currency", "needed beside a value"),
        ("consent: {marketing: {text: x}}", "consent.marketing", "needs granted or refused"),
        ("consent: {marketing: {granted: {Mail: x}}}", "consent.marketing.text", "the words that the person agreed"),
        ("fields: {" + ", ".join(f"f{number}: x" for number in range(101)) + "}", "fields", "more than 100 answers"),
        ("timezone: Europe/Berlinn", "timezone", "did you mean 'Europe/Berlin'"),
        ("decimal: dot", "decimal", "point (1,234.50) or comma"),
        ("unanswered: {Select: x}", "unanswered", "must be a single value"),
        ("replace: {Mail: [x]}", "replace.Mail", "must be a mapping"),
    ],
)
def test_a_mistake_is_named_by_its_key(addition: str, where: str, why: str) -> None:
    found = only_wrong(LEAST + addition + "\n")
    assert found[0] == where
    assert why in found[1]


def test_all_mistakes_are_told_at_once() -> None:
    said = wrong('site: Demo Site\nlead: {email: "{Mail", phon: x}\ndecimal: x\n')
    assert [where for where, _ in said] == ["site", "decimal", "lead.phon", "lead.email"]


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("lead: {email: {Mail}@x.com}", "line 1", "between quotes"),
        ("site: demo\nsite: other\n", "line 2", "the key 'site' is there twice"),
        ("site: &a demo\nlead: {email: *a}\n", "line 1", "aliases"),
        ("? [a, b]\n: c\n", "line 1", "a key is a word"),
        ("[" * 5000, "", "no YAML text"),
        ("a: \x07", "", "no YAML text"),
        ("x" * 300_000, "", "at most 262,144 characters"),
    ],
)
def test_what_is_no_map_at_all_is_refused_with_its_line(text: str, where: str, why: str) -> None:
    found = only_wrong(text)
    assert found[0] == where
    assert why in found[1]


def test_words_stay_words_and_digits_digits() -> None:
    plan = read_map(LEAST + "unanswered: [No, NULL, ~, 0x1F, 2024-01-01]\nactivities: [{type: call, when: {A: No}}]\n")
    assert plan.unanswered == {"", "no", "null", "~", "0x1f", "2024-01-01"}
    assert ("activities[0].when", "A") in plan.mentions


def test_columns_that_the_file_does_not_have_are_named_with_what_is_near() -> None:
    plan = read_map(
        'site: demo\nlead: {email: "{E-mail}", name: "{First} {Surname}"}\nleave_out: [Nothing like it]\n'
        "replace: {Sorce: {a: b}}\n"
    )
    with pytest.raises(MapError) as refusal:
        bind(plan, ["E-Mail", "First", "Last name", "Source"], started=datetime(2026, 1, 1, tzinfo=UTC))
    assert list(refusal.value.problems) == [
        ("replace.Sorce", "the file has no column 'Sorce'; did you mean 'Source'?"),
        ("leave_out", "the file has no column 'Nothing like it'"),
        ("lead.email", "the file has no column 'E-mail'; did you mean 'E-Mail'?"),
        ("lead.name", "the file has no column 'Surname'; did you mean 'Last name' or 'Source'?"),
    ]
    assert "lead.email: the file has no column 'E-mail'" in str(refusal.value)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab{}[]:,-'\"\n #&*?!|>%@`~ sitelead"), max_size=80))
def test_any_text_is_a_map_or_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(MapError) as refusal:
        read_map(text)
    assert all(why for _, why in refusal.value.problems)
