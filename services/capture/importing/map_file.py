"""The map: a YAML file that says which column of a file is what of a lead. Read here, checked to the last key.

Every value is taken as written: `No` is the word No, `1` the digit 1. docs/importing.md describes the keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import yaml

from services.capture.domain.activity import ACTIVITY_TYPES
from services.capture.importing.conditions import Condition, condition_of
from services.capture.importing.findings import Findings, MapError, Node, near, under
from services.capture.importing.moments import WORDS, NotAMoment, is_format, moment_of
from services.capture.importing.values import Value, constants_of, value_of

LONGEST_MAP = 256 * 1024
"""Characters of a map."""

MOST_TIMES = 100
"""How often at most one row says the same fact."""

LEAD_KEYS = ("email", "phone", "name", "company")
SOURCE_KEYS = ("channel", "medium", "source", "campaign", "url", "referrer")
DETAIL_KEYS = (
    "asset",
    "url",
    "conversion_point",
    "outcome",
    "reason",
    "duration_seconds",
    "value",
    "currency",
)
_ACTIVITY_KEYS = ("type", "when", "at", "at_format", "times", "at_most", *DETAIL_KEYS)
_CONSENT_KEYS = ("granted", "refused", "text", "at", "at_format")
_MAP_KEYS = (
    "site",
    "region",
    "timezone",
    "decimal",
    "unanswered",
    "replace",
    "leave_out",
    "lead",
    "fields",
    "source",
    "activity",
    "activities",
    "consent",
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_FIELDS, _MOST_PURPOSES = 100, 20  # as many as a submission may have


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened; no value means: when the row's own activity did."""

    value: Value | None
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActivityRule:
    """A fact of a row, said when the condition holds."""

    where: str
    type: str
    when: Condition
    at: Moment
    details: Mapping[str, Value]
    times: Value | None
    at_most: int


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """A permission is given where `granted` holds, taken back where `refused` does, and not known where neither."""

    granted: Condition | None
    refused: Condition | None
    text: Value
    at: Moment


@dataclass(frozen=True, slots=True)
class ImportMap:
    site: str
    region: Value
    timezone: tzinfo | None
    decimal_comma: bool
    unanswered: frozenset[str]
    replace: Mapping[str, Mapping[str, str]]
    leave_out: frozenset[str]
    lead: Mapping[str, Value]
    fields: Mapping[str, Value]
    source: Mapping[str, Value]
    activity: tuple[ActivityRule, ...]
    """The interest that made the lead: the first rule that holds."""
    activities: tuple[ActivityRule, ...]
    """Further facts: every rule that holds."""
    consent: Mapping[str, ConsentRule]
    mentions: tuple[tuple[str, str], ...]
    """Each column that the map speaks of, after the key that does."""


def read_map(text: str) -> ImportMap:
    """The map that a YAML text describes. Raises `MapError` with everything that is wrong, each with its key."""
    findings = Findings()
    top = findings.mapping("", _parsed(text), _MAP_KEYS)
    if not isinstance(top.get("lead", ""), dict):
        findings.wrong("lead", "is needed: it says which columns have the e-mail address or the telephone number")
    found = ImportMap(
        site=_site(top, findings),
        region=value_of("region", top.get("region", ""), findings),
        timezone=_timezone(top, findings),
        decimal_comma=_decimal_comma(top, findings),
        unanswered=frozenset(word.casefold() for word in _texts(top, "unanswered", findings)) | {""},
        replace=_replacements(top, findings),
        leave_out=frozenset(_columns(top, findings)),
        lead=_lead(top, findings),
        fields=_fields(top, findings),
        source=_values("source", top.get("source", ""), SOURCE_KEYS, findings),
        activity=_activity(top, findings),
        activities=_activities(top, findings),
        consent=_consents(top, findings),
        mentions=tuple(findings.mentions),
    )
    if findings.problems:
        raise MapError(findings.problems)
    return found


def _parsed(text: str) -> Node:
    if len(text) > LONGEST_MAP:
        raise MapError([("", f"a map has at most {LONGEST_MAP:,} characters")])
    try:
        tree = yaml.compose(text, Loader=yaml.BaseLoader)
        return _plain(tree, set()) if tree else {}
    except yaml.MarkedYAMLError as why:
        line = f"line {why.problem_mark.line + 1}" if why.problem_mark else ""
        raise MapError(
            [(line, f"{why.problem or why.context}; put values that begin with a brace between quotes")]
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise MapError([("", "the map is no YAML text")]) from None


def _plain(node: yaml.Node, seen: set[int]) -> Node:
    """The tree as text, lists and mappings. A key that is there twice would say two things, an alias hides one."""
    line = f"line {node.start_mark.line + 1}"
    if id(node) in seen:
        raise MapError([(line, "aliases (*name) are not used in maps: write the value again")])
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        found = dict[str, Node]()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in found:
                said = (
                    f"the key {key.value!r} is there twice" if isinstance(key, yaml.ScalarNode) else "a key is a word"
                )
                raise MapError([(f"line {key.start_mark.line + 1}", said)])
            found[key.value] = _plain(value, seen)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    return str(node.value)


def _site(top: Mapping[str, Node], findings: Findings) -> str:
    site = findings.text("site", top.get("site", ""))
    if not _NAME.fullmatch(site):
        findings.wrong("site", "is needed: the name of the site whose leads these are, such as demo")
    return site


def _timezone(top: Mapping[str, Node], findings: Findings) -> tzinfo | None:
    name = findings.text("timezone", top.get("timezone", ""))
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        findings.wrong("timezone", f"{name!r} is no timezone{near(name, available_timezones())}")
        return None


def _decimal_comma(top: Mapping[str, Node], findings: Findings) -> bool:
    sign = findings.text("decimal", top.get("decimal", "point"))
    if sign not in ("point", "comma"):
        findings.wrong("decimal", "must be point (1,234.50) or comma (1.234,50)")
    return sign == "comma"


def _texts(top: Mapping[str, Node], key: str, findings: Findings) -> list[str]:
    return findings.texts(key, top[key]) if key in top else []


def _columns(top: Mapping[str, Node], findings: Findings) -> list[str]:
    names = [" ".join(name.split()) for name in _texts(top, "leave_out", findings)]
    for name in names:
        findings.mention("leave_out", name)
    return names


def _replacements(top: Mapping[str, Node], findings: Findings) -> dict[str, dict[str, str]]:
    found = dict[str, dict[str, str]]()
    for name, node in findings.mapping("replace", top.get("replace", "")).items():
        column, where = " ".join(name.split()), under("replace", name)
        findings.mention(where, column)
        words = findings.mapping(where, node)
        found[column] = {old.strip(): findings.text(under(where, old), new) for old, new in words.items()}
    return found


def _values(where: str, node: Node, known: Iterable[str], findings: Findings) -> dict[str, Value]:
    found = findings.mapping(where, node, known)
    return {key: value_of(under(where, key), value, findings) for key, value in found.items()}


def _lead(top: Mapping[str, Node], findings: Findings) -> dict[str, Value]:
    lead = _values("lead", top.get("lead", ""), LEAD_KEYS, findings)
    if not any(key in lead for key in ("email", "phone")):
        findings.wrong("lead", "needs an email or a phone: a lead is somebody who can be reached")
    return lead


def _fields(top: Mapping[str, Node], findings: Findings) -> dict[str, Value]:
    fields = findings.mapping("fields", top.get("fields", ""))
    if len(fields) > _MOST_FIELDS:
        findings.wrong("fields", f"has more than {_MOST_FIELDS} answers")
    for name in fields:
        if not _NAME.fullmatch(name):
            findings.wrong(under("fields", name), "must be of small letters, digits and _, and begin with a letter")
    return {name: value_of(under("fields", name), node, findings) for name, node in fields.items()}


def _activity(top: Mapping[str, Node], findings: Findings) -> tuple[ActivityRule, ...]:
    """A single rule, or several of which the first that holds is taken."""
    node = top.get("activity", {"type": "form_submitted"})
    if not isinstance(node, list):
        return (_rule("activity", node, findings),)
    return tuple(_rule(f"activity[{number}]", one, findings) for number, one in enumerate(node))


def _activities(top: Mapping[str, Node], findings: Findings) -> tuple[ActivityRule, ...]:
    node = top.get("activities", [])
    if not isinstance(node, list):
        findings.wrong("activities", "must be a list, each item with a type")
        return ()
    return tuple(_rule(f"activities[{number}]", one, findings) for number, one in enumerate(node))


def _rule(where: str, node: Node, findings: Findings) -> ActivityRule:
    keys = findings.mapping(where, node, _ACTIVITY_KEYS)
    kind = findings.text(under(where, "type"), keys.get("type", ""))
    if kind not in ACTIVITY_TYPES:
        said = near(kind, ACTIVITY_TYPES) or f": use {', '.join(sorted(ACTIVITY_TYPES))}"
        findings.wrong(under(where, "type"), f"{kind!r} is no type of activity{said}" if kind else f"is needed{said}")
    if "value" in keys and "currency" not in keys:
        findings.wrong(under(where, "currency"), "is needed beside a value, as in EUR")
    return ActivityRule(
        where=where,
        type=kind,
        when=condition_of(under(where, "when"), keys["when"], findings) if "when" in keys else Condition(),
        at=_moment(where, keys, findings),
        details={key: value_of(under(where, key), keys[key], findings) for key in DETAIL_KEYS if key in keys},
        times=value_of(under(where, "times"), keys["times"], findings) if "times" in keys else None,
        at_most=_at_most(where, keys, findings),
    )


def _at_most(where: str, keys: Mapping[str, Node], findings: Findings) -> int:
    said = findings.text(under(where, "at_most"), keys.get("at_most", str(MOST_TIMES)))
    if not (said.isascii() and said.isdigit() and 1 <= int(said) <= MOST_TIMES):
        findings.wrong(under(where, "at_most"), f"must be a number from 1 to {MOST_TIMES}")
        return 1
    return int(said)


def _moment(where: str, keys: Mapping[str, Node], findings: Findings) -> Moment:
    formats = findings.texts(under(where, "at_format"), keys["at_format"]) if "at_format" in keys else ["iso"]
    for form in formats:
        if not is_format(form):
            said = f"{form!r} is none of {', '.join(WORDS)} and no pattern with a year, such as %d.%m.%Y"
            findings.wrong(under(where, "at_format"), said)
    value = value_of(under(where, "at"), keys["at"], findings) if "at" in keys else None
    for text in constants_of(value):
        try:
            moment_of(text, ("iso",), UTC)
        except NotAMoment as why:
            findings.wrong(under(where, "at"), f"{text!r} {why.reason}, as in 2024-01-01T00:00:00Z")
    return Moment(value, tuple(formats))


def _consents(top: Mapping[str, Node], findings: Findings) -> dict[str, ConsentRule]:
    found = dict[str, ConsentRule]()
    purposes = findings.mapping("consent", top.get("consent", ""))
    if len(purposes) > _MOST_PURPOSES:
        findings.wrong("consent", f"has more than {_MOST_PURPOSES} purposes")
    for purpose, node in purposes.items():
        where = under("consent", purpose)
        if not _NAME.fullmatch(purpose):
            findings.wrong(where, "must be of small letters, digits and _, and begin with a letter")
        found[purpose] = _consent(where, findings.mapping(where, node, _CONSENT_KEYS), findings)
    return found


def _consent(where: str, keys: Mapping[str, Node], findings: Findings) -> ConsentRule:
    given, back = (
        condition_of(under(where, key), keys[key], findings) if key in keys else None for key in ("granted", "refused")
    )
    if given is None and back is None:
        findings.wrong(where, "needs granted or refused, each with a condition, as in granted: {Newsletter: yes}")
    if given is not None and not keys.get("text"):
        findings.wrong(under(where, "text"), "is needed beside granted: the words that the person agreed to")
    text = value_of(under(where, "text"), keys.get("text", ""), findings)
    return ConsentRule(given, back, text, _moment(where, keys, findings))
