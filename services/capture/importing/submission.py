"""The submission and the facts that the answers of one row make, with every problem that is found on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from services.capture.domain.card import IMPORTED
from services.capture.domain.contact import NotAContactPoint, normal_email, normal_phone
from services.capture.importing.amounts import money_of, number_of
from services.capture.importing.findings import under
from services.capture.importing.map_file import ActivityRule, ConsentRule, ImportMap, Moment
from services.capture.importing.moments import NotAMoment, moment_of, rfc3339
from services.capture.importing.values import Answers, Reader, Value, constants_of
from shared.currencies import CURRENCIES

LONGEST_NAME = 200
LONGEST_ANSWER = 2_000
LONGEST_URL = 2_000
"""Characters, as many as a submission takes."""


Json: TypeAlias = "dict[str, str | int | bool | Json]"

_MEASURES = ("value", "currency", "duration_seconds")
_DATES_REMEMBERED = 4096


class Composed(NamedTuple):
    submission: Json
    activities: list[Json]
    problems: list[tuple[str, str]]
    notes: list[str]


class Composer:
    """A map made ready for the answers of one row after the other."""

    def __init__(self, plan: ImportMap, slots: Mapping[str, int], started: datetime, zone: tzinfo, region: str) -> None:
        clock = _Clock(started, zone)
        self._contact = _Contact(plan, slots, region)
        self._fields = _Texts("fields", plan.fields, slots, LONGEST_ANSWER)
        self._source = _Texts("source", plan.source, slots, LONGEST_URL)
        self._consents = [_Permission(name, rule, slots, clock, plan) for name, rule in plan.consent.items()]
        self._own = [_Fact(rule, slots, clock, plan.decimal_comma) for rule in plan.activity]
        self._further = [_Fact(rule, slots, clock, plan.decimal_comma) for rule in plan.activities]
        self._started = started

    def compose(self, answers: Answers) -> Composed:
        found = Composed({}, [], [], [])
        found.submission.update(self._contact.of(answers, found))
        if fields := self._fields.of(answers, found):
            found.submission["fields"] = fields
        source: Json = {"channel": IMPORTED}
        source.update(self._source.of(answers, found))
        found.submission["source"] = source
        self._add_activities(answers, found)
        consent: Json = {one.purpose: said for one in self._consents if (said := one.of(answers, found)) is not None}
        if consent:
            found.submission["consent"] = consent
        return found

    def _add_activities(self, answers: Answers, found: Composed) -> None:
        own = next((fact for fact in self._own if fact.holds(answers)), None)
        if own is None:
            found.problems.append(("activity", "none of the map's activities holds for this row"))
            return
        moment = own.moment(answers, found) or self._started
        found.submission["activity"] = own.said(answers, moment, found)
        for fact in self._further:
            if fact.holds(answers) and (count := fact.count(answers, found)):
                activity = fact.said(answers, fact.moment(answers, found) or moment, found)
                found.activities.extend(activity.copy() for _ in range(count))


class _Clock(NamedTuple):
    started: datetime
    zone: tzinfo


class _Contact:
    """Who the row is about, and how to reach them."""

    def __init__(self, plan: ImportMap, slots: Mapping[str, int], region: str) -> None:
        self._email, self._phone, self._name, self._company = (
            _reader(plan.lead.get(key), slots) for key in ("email", "phone", "name", "company")
        )
        self._region = plan.region.reader(slots)
        self._default_region = region

    def of(self, answers: Answers, found: Composed) -> Json:
        contact: Json = {}
        email, phone = self._email(answers), self._phone(answers)
        if not email and not phone:
            found.problems.append(("contact", "it has neither an e-mail address nor a telephone number"))
        if email:
            _add(contact, "email", lambda: normal_email(email), found)
        if phone:
            region = self._region(answers) or self._default_region
            _add(contact, "phone", lambda: normal_phone(phone, region), found)
        for key, reader in (("name", self._name), ("company", self._company)):
            if text := " ".join(reader(answers).split()):
                contact[key] = _within(key, text, LONGEST_NAME, found)
        return contact


class _Fact:
    """One activity rule, bound."""

    def __init__(self, rule: ActivityRule, slots: Mapping[str, int], clock: _Clock, comma: bool) -> None:
        self._where, self._type, self._at_most, self._comma = rule.where, rule.type, rule.at_most, comma
        self.holds = rule.when.holds(slots, comma)
        self._when = _When(rule.at, slots, clock)
        self._times = rule.times.reader(slots) if rule.times else None
        self._value, self._currency, self._duration = (_reader(rule.details.get(key), slots) for key in _MEASURES)
        texts = {key: value for key, value in rule.details.items() if key not in _MEASURES}
        self._texts = _Texts(rule.where, texts, slots, LONGEST_URL)

    def moment(self, answers: Answers, found: Composed) -> datetime | None:
        return self._when.of(answers, under(self._where, "at"), found)

    def count(self, answers: Answers, found: Composed) -> int:
        """How often it is said: once, or as often as the row says up to the map's limit."""
        if self._times is None:
            return 1
        text = self._times(answers)
        number = number_of(text, comma=self._comma) if text else None
        if text and number is None:
            found.problems.append((under(self._where, "times"), "is no number"))
        return max(0, min(int(number), self._at_most)) if number is not None else 0

    def said(self, answers: Answers, at: datetime, found: Composed) -> Json:
        activity: Json = {"type": self._type, "at": rfc3339(at)}
        activity.update(self._texts.of(answers, found))
        if text := self._value(answers):
            self._add_money(activity, text, answers, found)
        if text := self._duration(answers):
            seconds = number_of(text, comma=self._comma)
            if seconds is None or seconds < 0:
                found.problems.append((under(self._where, "duration_seconds"), "is no number of seconds"))
            else:
                activity["duration_seconds"] = int(seconds)
        return activity

    def _add_money(self, activity: Json, text: str, answers: Answers, found: Composed) -> None:
        value = money_of(text, comma=self._comma)
        currency = self._currency(answers).upper()
        if value is None:
            written = "1.234,50" if self._comma else "1,234.50"
            found.problems.append((under(self._where, "value"), f"is no amount of money as in {written}"))
        elif currency not in CURRENCIES:
            found.problems.append((under(self._where, "currency"), "is no ISO 4217 code such as EUR"))
        else:
            activity["value"], activity["currency"] = value, currency


class _Permission:
    """One purpose of consent, bound."""

    def __init__(
        self, purpose: str, rule: ConsentRule, slots: Mapping[str, int], clock: _Clock, plan: ImportMap
    ) -> None:
        comma = plan.decimal_comma
        self.purpose = purpose
        self._granted = rule.granted.holds(slots, comma) if rule.granted else None
        self._refused = rule.refused.holds(slots, comma) if rule.refused else None
        self._text = rule.text.reader(slots)
        self._dated = rule.at.value is not None
        self._when = _When(rule.at, slots, clock)

    def of(self, answers: Answers, found: Composed) -> Json | None:
        """What is said of this purpose, or None. A no is always heard; a yes without its date counts as not known."""
        granted = self._granted is not None and self._granted(answers)
        refused = self._refused is not None and self._refused(answers)
        if not granted and not refused:
            return None
        at = self._when.of(answers, under(under("consent", self.purpose), "at"), found)
        if self._dated and at is None and not refused:
            found.notes.append(f"consent.{self.purpose}: a yes without its date counts as not known")
            return None
        text = _within(f"consent.{self.purpose}.text", self._text(answers), LONGEST_ANSWER, found)
        said: Json = {"granted": not refused, "text": text}
        if at is not None:
            said["at"] = rfc3339(at)
        return said


class _When:
    """A moment of the map, bound. Times in the future become the start of the import."""

    def __init__(self, moment: Moment, slots: Mapping[str, int], clock: _Clock) -> None:
        self._reader = moment.value.reader(slots) if moment.value else None
        self._started = clock.started
        fixed = {text: moment_of(text, ("iso",), clock.zone) for text in constants_of(moment.value)}

        def parse(text: str) -> datetime:
            return fixed.get(text) or moment_of(text, moment.formats, clock.zone)

        # The same few thousand dates come back in most files, and strptime is slow.
        self._parse = lru_cache(_DATES_REMEMBERED)(parse)

    def of(self, answers: Answers, where: str, found: Composed) -> datetime | None:
        """The moment; None when the row has none, or has one that cannot be read, which is a problem."""
        text = self._reader(answers) if self._reader else ""
        if not text:
            return None
        try:
            return min(self._parse(text), self._started)
        except NotAMoment as why:
            found.problems.append((where, why.reason))
            return None


def _reader(value: Value | None, slots: Mapping[str, int]) -> Reader:
    return value.reader(slots) if value else lambda answers: ""


class _Texts:
    """Values that are taken as they stand, each under its key."""

    def __init__(self, where: str, values: Mapping[str, Value], slots: Mapping[str, int], limit: int) -> None:
        self._readers = [(key, under(where, key), value.reader(slots)) for key, value in values.items()]
        self._limit = limit

    def of(self, answers: Answers, found: Composed) -> Json:
        texts: Json = {}
        for key, where, reader in self._readers:
            if text := reader(answers):
                texts[key] = _within(where, text, self._limit, found)
        return texts


def _within(where: str, text: str, limit: int, found: Composed) -> str:
    if len(text) > limit:
        found.problems.append((where, f"is longer than {limit:,} characters"))
    return text


def _add(contact: Json, key: str, normal: Callable[[], str], found: Composed) -> None:
    try:
        contact[key] = normal()
    except NotAContactPoint as why:
        found.problems.append((key, why.reason))
