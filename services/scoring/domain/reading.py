"""Reads a rule set from plain data, strictly: whatever is not understood is an error that names its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast

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
    folded,
    words,
)
from services.scoring.domain.moments import length
from services.scoring.domain.profile import ANSWERS, FACT_FIELDS, FIT_FIELDS, MAIL_KINDS
from services.scoring.domain.ruleset import (
    COLD,
    GRADES,
    HOT,
    UNKNOWN,
    WARM,
    EngagementRule,
    FitRule,
    Gate,
    Heat,
    Leave,
    Most,
    Request,
    RuleSet,
    StageLine,
)
from shared.lifecycle import DISQUALIFY_REASONS, FAST_TRACK, Reason, Stage, legal

Path: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")

MOST_POINTS = 10_000
MOST_RULES = 500
DEEPEST = 8
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OWN_STAGES = (Stage.iql, Stage.mql, Stage.sql)


class BadRules(ValueError):
    """The rule set cannot be used. `problems` are (place, what is wrong there), place by keys: `("fit", "rules")`."""

    def __init__(self, problems: Sequence[tuple[Path, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{'.'.join(map(str, path)) or 'the rule set'} {why}" for path, why in problems))


def read_rules(data: object) -> RuleSet:
    """The rule set that data in the shape of `rules/default.yaml` describes. Raises `BadRules` with all its faults."""
    reader = _Reader()
    rules = reader.rule_set(data)
    if reader.problems or rules is None:
        raise BadRules(reader.problems)
    return rules


class _Table:
    """A mapping being read: every key asked for is ticked off, and what is left over is an error."""

    def __init__(self, reader: _Reader, path: Path, data: Mapping[str, object]) -> None:
        self.reader = reader
        self.path = path
        self.data = data
        self.asked: set[str] = set()

    def at(self, key: str) -> Path:
        return (*self.path, key)

    def value(self, key: str) -> object:
        self.asked.add(key)
        return self.data.get(key)

    def take(self, key: str, read: Callable[[Path, object], T | None], default: T) -> T:
        """The value of a key that may be missing."""
        value = self.value(key)
        if key not in self.data:
            return default
        found = read(self.at(key), value)
        return default if found is None else found

    def need(self, key: str, read: Callable[[Path, object], T | None]) -> T | None:
        value = self.value(key)
        if key not in self.data:
            self.reader.wrong(self.at(key), "is missing")
            return None
        return read(self.at(key), value)

    def done(self) -> None:
        for key in self.data:
            if key not in self.asked:
                known = ", ".join(sorted(self.asked))
                self.reader.wrong(self.at(key), f"is not a key here; there are {known}")


class _Reader:
    def __init__(self) -> None:
        self.problems: list[tuple[Path, str]] = []
        self.groups: dict[str, int] = {}

    def wrong(self, path: Path, why: str) -> None:
        self.problems.append((path, why))

    # The parts, from the whole down.

    def rule_set(self, data: object) -> RuleSet | None:
        table = self.table((), data)
        if table is None:
            return None
        version = table.take("version", self.version, 1)
        name = table.take("name", self.text, "")
        self.groups = table.take("groups", self._groups, {})
        fit, grades = table.need("fit", self._fit) or ((), {})
        engagement = table.need("engagement", self._engagement) or ()
        requests, fresh_for = table.need("requests", self._requests) or ((), 0)
        come_back = table.take("come_back", self._come_back, frozenset[str]())
        heats = table.need("temperature", self._heats) or {}
        stages = table.need("stages", self._stages) or {}
        table.done()
        if fit and engagement:
            for code in sorted({rule.code for rule in fit} & {rule.code for rule in engagement}):
                self.wrong(("engagement", "rules", code), "is also the name of a fit rule; names are used once")
        return RuleSet(
            version, name, self.groups, fit, grades, engagement, requests, fresh_for, come_back, heats, stages
        )

    def _groups(self, path: Path, data: object) -> dict[str, int] | None:
        return self.each(path, data, self._group)

    def _group(self, path: Path, _code: str, data: object) -> int | None:
        table = self.table(path, data)
        if table is None:
            return None
        most = table.need("most", self.positive_points)
        table.done()
        return most

    def _fit(self, path: Path, data: object) -> tuple[tuple[FitRule, ...], dict[str, int]] | None:
        table = self.table(path, data)
        if table is None:
            return None
        rules = table.need("rules", lambda at, value: self.each(at, value, self._fit_rule)) or {}
        grades = table.need("grades", self._grades) or {}
        table.done()
        return tuple(rules.values()), grades

    def _fit_rule(self, path: Path, code: str, data: object) -> FitRule | None:
        table = self.table(path, data)
        if table is None:
            return None
        says = table.need("says", self.text)
        tenths = table.need("points", self.points)
        when = table.need("when", lambda at, value: self.condition(at, value, _is_fit_field))
        group = table.take("group", self.group, "")
        evidence = table.take("evidence", self.yes_or_no, True)
        table.done()
        if says is None or tenths is None or when is None:
            return None
        return FitRule(code, says, tenths, when, group or None, evidence)

    def _grades(self, path: Path, data: object) -> dict[str, int] | None:
        table = self.table(path, data)
        if table is None:
            return None
        named = {grade: table.need(grade, self.points) for grade in GRADES[:-1]}
        table.done()
        found = {grade: least for grade, least in named.items() if least is not None}
        if list(found.values()) != sorted(found.values(), reverse=True):
            self.wrong(path, "must fall from A to C")
        return found

    def _engagement(self, path: Path, data: object) -> tuple[EngagementRule, ...] | None:
        table = self.table(path, data)
        if table is None:
            return None
        rules = table.need("rules", lambda at, value: self.each(at, value, self._engagement_rule)) or {}
        table.done()
        return tuple(rules.values())

    def _engagement_rule(self, path: Path, code: str, data: object) -> EngagementRule | None:
        table = self.table(path, data)
        if table is None:
            return None
        says = table.need("says", self.text)
        activities = table.need("activity", self.codes)
        tenths = table.need("points", self.points)
        half_life = table.need("half_life", self.half_life)
        most = table.need("most", self._most)
        when = table.take("when", lambda at, value: self.condition(at, value, _is_fact_field), _NO_CONDITION)
        group = table.take("group", self.group, "")
        intent = table.take("intent", self.yes_or_no, False)
        table.done()
        if says is None or activities is None or tenths is None or half_life is None or most is None:
            return None
        condition = None if when is _NO_CONDITION else when
        return EngagementRule(code, says, activities, tenths, half_life or None, most, condition, group or None, intent)

    def _most(self, path: Path, data: object) -> Most | None:
        table = self.table(path, data)
        if table is None:
            return None
        tenths = table.take("points", self.positive_points, 0)
        times = table.take("times", self.count, 0)
        within = table.take("within", self.span, 0)
        table.done()
        if not tenths and not times:
            self.wrong(path, "needs `points`, `times` or both: without an end one eager visitor outscores everybody")
        if within and not times:
            self.wrong((*path, "within"), "goes with `times`")
        return Most(tenths or None, times or None, within or None)

    def _requests(self, path: Path, data: object) -> tuple[tuple[Request, ...], int] | None:
        table = self.table(path, data)
        if table is None:
            return None
        fresh_for = table.need("fresh_for", self.span) or 0
        rules = table.need("rules", lambda at, value: self.each(at, value, self._request)) or {}
        table.done()
        return tuple(rules.values()), fresh_for

    def _request(self, path: Path, code: str, data: object) -> Request | None:
        table = self.table(path, data)
        if table is None:
            return None
        activities = table.need("activity", self.codes)
        reason = table.need("reason", lambda at, value: self.one_of(at, value, FAST_TRACK | {Reason.high_intent}))
        when = table.take("when", lambda at, value: self.condition(at, value, _is_fact_field), _NO_CONDITION)
        table.done()
        if activities is None or reason is None:
            return None
        return Request(code, activities, reason, None if when is _NO_CONDITION else when)

    def _come_back(self, path: Path, data: object) -> frozenset[str] | None:
        names = self.items(path, data)
        if names is None:
            return None
        allowed = DISQUALIFY_REASONS | {Reason.unconfirmed}
        found = [self.one_of((*path, number), name, allowed) for number, name in enumerate(names)]
        return frozenset(name for name in found if name)

    def _heats(self, path: Path, data: object) -> dict[str, Heat] | None:
        table = self.table(path, data)
        if table is None:
            return None
        hot = table.need(HOT, lambda at, value: self._heat(at, HOT, value))
        warm = table.need(WARM, lambda at, value: self._heat(at, WARM, value))
        table.done()
        if hot is None or warm is None:
            return None
        if hot.enter < warm.enter:
            self.wrong((*path, HOT, "enter"), "must not be lower than that of warm")
        if hot.leave < warm.leave:
            self.wrong((*path, HOT, "leave"), "must not be lower than that of warm")
        return {HOT: hot, WARM: warm}

    def _heat(self, path: Path, level: str, data: object) -> Heat | None:
        table = self.table(path, data)
        if table is None:
            return None
        enter = table.need("enter", self.positive_points)
        leave = table.need("leave", self.positive_points)
        quiet = table.take("quiet_after", self.span, 0)
        intent = table.take("intent_within", self.span, 0)
        table.done()
        if enter is None or leave is None:
            return None
        if leave >= enter:
            self.wrong((*path, "leave"), "must be lower than `enter`, or a lead would flap between the two")
        return Heat(level, enter, leave, quiet or None, intent or None)

    def _stages(self, path: Path, data: object) -> dict[Stage, StageLine] | None:
        table = self.table(path, data)
        if table is None:
            return None
        lines: dict[Stage, StageLine] = {}
        for stage in _OWN_STAGES:
            line = table.need(stage, lambda at, value, stage=stage: self._line(at, stage, value))
            if line is not None:
                lines[stage] = line
        table.done()
        return lines

    def _line(self, path: Path, stage: Stage, data: object) -> StageLine | None:
        table = self.table(path, data)
        if table is None:
            return None
        gates = table.need("enter", lambda at, value: self._gates(at, stage, value)) or ()
        leave = table.take("leave", self._leave, _NEVER_LEFT)
        table.done()
        if stage is Stage.mql and leave is _NEVER_LEFT:
            self.wrong((*path, "leave"), "is missing")
        if stage is not Stage.mql and leave is not _NEVER_LEFT:
            self.wrong((*path, "leave"), f"has no meaning here: points never take a lead out of {stage}")
        for number, gate in enumerate(gates):
            self._above(path, number, gate, leave)
        return StageLine(stage, gates, None if leave is _NEVER_LEFT else leave)

    def _above(self, path: Path, number: int, gate: Gate, leave: Leave) -> None:
        """A gate that opens below the line of leaving would let a lead in and out with every event."""
        pairs = (("score", leave.score, gate.score), ("fit", leave.fit, gate.fit))
        for name, line, least in (*pairs, ("engagement", leave.engagement, gate.engagement)):
            if line is not None and (least is None or least <= line):
                why = f"must be above {line / 10:g}, where the stage is left"
                self.wrong((*path, "enter", number, name), why)

    def _gates(self, path: Path, stage: Stage, data: object) -> tuple[Gate, ...] | None:
        items = self.items(path, data)
        if items is None:
            return None
        gates = [self._gate((*path, number), stage, item) for number, item in enumerate(items)]
        return tuple(gate for gate in gates if gate is not None)

    def _gate(self, path: Path, stage: Stage, data: object) -> Gate | None:
        table = self.table(path, data)
        if table is None:
            return None
        score, fit, engagement = (table.take(name, self.points, _NONE) for name in ("score", "fit", "engagement"))
        grades = table.take("grade", lambda at, value: self.names(at, value, {*GRADES, UNKNOWN}), frozenset[str]())
        levels = table.take("temperature", lambda at, value: self.names(at, value, {COLD, WARM, HOT}), frozenset[str]())
        groups = table.take("groups", self._group_points, {})
        reason = table.take("reason", self.text, _reason(stage, score, fit, bool(grades)))
        table.done()
        if not {"score", "fit", "engagement", "grade", "temperature", "groups"} & set(table.data):
            self.wrong(path, "asks for nothing; every lead would enter")
        if not all(legal(frm, stage, reason) for frm in _below(stage)):
            self.wrong((*path, "reason"), f"is not a reason for which leads enter {stage}")
        return Gate(reason, _given(score), _given(fit), _given(engagement), grades or None, levels or None, groups)

    def _group_points(self, path: Path, data: object) -> dict[str, int] | None:
        def read(at: Path, code: str, value: object) -> int | None:
            return self.points(at, value) if self.group(at, code) else None

        return self.each(path, data, read)

    def _leave(self, path: Path, data: object) -> Leave | None:
        table = self.table(path, data)
        if table is None:
            return None
        score, fit, engagement = (table.take(name, self.points, _NONE) for name in ("score", "fit", "engagement"))
        table.done()
        if not table.data:
            self.wrong(path, "asks for nothing")
        return Leave(_given(score), _given(fit), _given(engagement))

    # Conditions.

    def condition(self, path: Path, data: object, is_field: Callable[[str], bool], depth: int = 0) -> Condition | None:
        table = self.table(path, data)
        if table is None:
            return None
        if depth > DEEPEST:
            self.wrong(path, "is nested too deeply")
            return None
        if "field" in table.data:
            return self._comparison(table, is_field)
        found: Condition | None = None
        if len(table.data) != 1 or not {"all", "any", "not"} & set(table.data):
            self.wrong(path, "must be one of `all`, `any`, `not`, or a `field` with a comparison")
        elif "not" in table.data:
            part = self.condition(table.at("not"), table.value("not"), is_field, depth + 1)
            found = Not(part) if part is not None else None
        else:
            key = "all" if "all" in table.data else "any"
            parts = self._parts(table.at(key), table.value(key), is_field, depth)
            found = Every(parts) if key == "all" else Some(parts)
        return found

    def _parts(self, path: Path, data: object, is_field: Callable[[str], bool], depth: int) -> tuple[Condition, ...]:
        items = self.items(path, data) or []
        parts = [self.condition((*path, n), item, is_field, depth + 1) for n, item in enumerate(items)]
        return tuple(part for part in parts if part is not None)

    def _comparison(self, table: _Table, is_field: Callable[[str], bool]) -> Condition | None:
        field = table.need("field", self.text) or ""
        if field and not is_field(field):
            self.wrong(table.at("field"), f"{field!r} is nothing that is known here")
        given = [key for key in table.data if key != "field"]
        kinds = {"known", "is", "in", "contains", "starts_with", "at_least", "at_most"}
        if not given or not set(given) <= kinds or (len(given) > 1 and set(given) != {"at_least", "at_most"}):
            self.wrong(table.path, f"needs exactly one comparison: {', '.join(sorted(kinds))}")
            return None
        condition = self._compared(table, field, given[0])
        if isinstance(condition, OneOf) and field == "email.kind" and not condition.values <= MAIL_KINDS:
            self.wrong(table.at(given[0]), f"must be of {', '.join(sorted(MAIL_KINDS))}")
        return condition

    def _compared(self, table: _Table, field: str, kind: str) -> Condition | None:
        match kind:
            case "known":
                return IsKnown(field, table.take("known", self.yes_or_no, True))
            case "is":
                value = table.need("is", self.scalar)
                return None if value is None else OneOf(field, frozenset({folded(value)}))
            case "in":
                return OneOf(field, frozenset(folded(text) for text in table.need("in", self.texts) or ()))
            case "contains":
                found = tuple(words(text) for text in table.need("contains", self.texts) or ())
                if not all(found):
                    self.wrong(table.at("contains"), "must have a letter or digit in each")
                return Contains(field, found)
            case "starts_with":
                return StartsWith(field, tuple(folded(text) for text in table.need("starts_with", self.texts) or ()))
            case _:
                least = table.take("at_least", self.number, float("-inf"))
                most = table.take("at_most", self.number, float("inf"))
                if least > most:
                    self.wrong(table.at("at_most"), "must not be less than `at_least`")
                return Between(field, least, most)

    # Values.

    def table(self, path: Path, data: object) -> _Table | None:
        if not isinstance(data, Mapping):
            self.wrong(path, "must be a mapping")
            return None
        mapping = cast("Mapping[object, object]", data)
        if wrong := [key for key in mapping if not isinstance(key, str)]:
            self.wrong(path, f"has the key {wrong[0]!r}, which is no text; put it in quotes")
            return None
        return _Table(self, path, cast("Mapping[str, object]", mapping))

    def each(self, path: Path, data: object, read: Callable[[Path, str, object], T | None]) -> dict[str, T] | None:
        """A mapping from codes that marketers choose."""
        table = self.table(path, data)
        if table is None:
            return None
        if len(table.data) > MOST_RULES:
            self.wrong(path, f"has more than {MOST_RULES} members")
            return None
        found: dict[str, T] = {}
        for code, value in table.data.items():
            if not _CODE.fullmatch(code):
                self.wrong((*path, code), "must be a name of small letters, digits and underscores")
            one = read((*path, code), code, value)
            if one is not None:
                found[code] = one
        return found

    def items(self, path: Path, data: object) -> Sequence[object] | None:
        if not isinstance(data, list) or not data:
            self.wrong(path, "must be a list with something in it")
            return None
        return cast("list[object]", data)

    def text(self, path: Path, data: object) -> str | None:
        if not isinstance(data, str) or not data.strip() or len(data) > 500 or "\0" in data:
            self.wrong(path, "must be a text of at most 500 characters")
            return None
        return data.strip()

    def scalar(self, path: Path, data: object) -> str | None:
        """A text, or a number as people write it in YAML without quotes."""
        if isinstance(data, bool):
            self.wrong(path, "is yes or no here; put it in quotes if the word is meant")
            return None
        return f"{data:g}" if isinstance(data, int | float) else self.text(path, data)

    def texts(self, path: Path, data: object) -> list[str] | None:
        items = [data] if isinstance(data, str | int | float) else self.items(path, data)
        if items is None:
            return None
        found = [self.scalar((*path, number), item) for number, item in enumerate(items)]
        return [text for text in found if text is not None]

    def codes(self, path: Path, data: object) -> frozenset[str] | None:
        """The types of activities, one or a list."""
        found = self.texts(path, data)
        if found is None:
            return None
        for code in found:
            if not _CODE.fullmatch(code):
                self.wrong(path, f"{code!r} is not a type of activity: small letters, digits and underscores")
        return frozenset(found)

    def names(self, path: Path, data: object, allowed: set[str]) -> frozenset[str] | None:
        found = self.texts(path, data)
        if found is None:
            return None
        for name in found:
            self.one_of(path, name, allowed)
        return frozenset(found)

    def one_of(self, path: Path, data: object, allowed: set[str] | frozenset[Reason]) -> str | None:
        if not isinstance(data, str) or data not in allowed:
            self.wrong(path, f"must be one of {', '.join(sorted(allowed))}")
            return None
        return data

    def group(self, path: Path, data: object) -> str | None:
        if not isinstance(data, str) or data not in self.groups:
            self.wrong(path, "is not one of the `groups`")
            return None
        return data

    def yes_or_no(self, path: Path, data: object) -> bool | None:
        if not isinstance(data, bool):
            self.wrong(path, "must be true or false")
            return None
        return data

    def number(self, path: Path, data: object) -> float | None:
        if isinstance(data, bool) or not isinstance(data, int | float) or not abs(data) < 1e15:
            self.wrong(path, "must be a number")
            return None
        return float(data)

    def points(self, path: Path, data: object) -> int | None:
        """Points with at most one decimal, as tenths."""
        number = self.number(path, data)
        if number is None:
            return None
        tenths = round(number * 10)
        if abs(number * 10 - tenths) > 1e-6 or abs(number) > MOST_POINTS:
            self.wrong(path, f"must be points with at most one decimal, up to {MOST_POINTS:,}")
            return None
        return tenths

    def positive_points(self, path: Path, data: object) -> int | None:
        tenths = self.points(path, data)
        if tenths is not None and tenths <= 0:
            self.wrong(path, "must be more than 0")
            return None
        return tenths

    def count(self, path: Path, data: object) -> int | None:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= 1000:
            self.wrong(path, "must be a whole number from 1 to 1,000")
            return None
        return data

    def version(self, path: Path, data: object) -> int | None:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data < 2**31:
            self.wrong(path, "must be a whole number from 1")
            return None
        return data

    def span(self, path: Path, data: object) -> int | None:
        found = length(data) if isinstance(data, str) else None
        if found is None:
            self.wrong(path, "must be a length of time such as 12h, 14d or 6w")
        return found

    def half_life(self, path: Path, data: object) -> int | None:
        """Microseconds; 0 for `never`."""
        return 0 if data == "never" else self.span(path, data)


_NO_CONDITION = Every(())
_NEVER_LEFT = Leave()
_NONE = -(2**31)


def _given(tenths: int) -> int | None:
    return None if tenths == _NONE else tenths


def _is_fit_field(name: str) -> bool:
    return name in FIT_FIELDS or (name.startswith(ANSWERS) and len(name) > len(ANSWERS))


def _is_fact_field(name: str) -> bool:
    return name in FACT_FIELDS


def _below(stage: Stage) -> Sequence[Stage]:
    return {Stage.iql: (Stage.registered,), Stage.mql: (Stage.registered, Stage.iql)}.get(
        stage, (Stage.registered, Stage.iql, Stage.mql)
    )


def _reason(stage: Stage, score: int, fit: int, graded: bool) -> str:
    """What a gate without a reason of its own says."""
    looks_at_fit = graded or fit != _NONE or score != _NONE
    return Reason.fit_and_engagement if looks_at_fit and stage is not Stage.iql else Reason.score_reached
