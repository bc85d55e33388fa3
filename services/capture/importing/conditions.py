"""When something holds for a row, said as data: every column named must be as it says.

{Status: Won}                         one value, whatever the case of its letters; "" is not answered
{Status: [Won, Closed]}               one of several
{Status: {not: [Lost, ""]}}           none of these
{Amount: {at_least: 100, below: 500}} a number; what is no number does not hold
{Date: {answered: yes}}               answered, or with `no` not answered
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from services.capture.importing.amounts import number_of
from services.capture.importing.findings import Findings, Node, under
from services.capture.importing.values import Answers

Holds = Callable[[Answers], bool]

_TESTS = ("not", "at_least", "below", "answered")
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class OneOf:
    column: str
    words: frozenset[str]
    wanted: bool = True
    """False: none of the words."""

    def holds(self, slots: Mapping[str, int], comma: bool) -> Holds:
        del comma
        slot, words, wanted = slots[self.column], self.words, self.wanted
        return lambda answers: (answers[slot].casefold() in words) is wanted


@dataclass(frozen=True, slots=True)
class Between:
    """At least `low` and below `high`."""

    column: str
    low: Decimal | None
    high: Decimal | None

    def holds(self, slots: Mapping[str, int], comma: bool) -> Holds:
        slot, low, high = slots[self.column], self.low, self.high

        def within(answers: Answers) -> bool:
            number = number_of(answers[slot], comma=comma)
            return number is not None and (low is None or number >= low) and (high is None or number < high)

        return within


@dataclass(frozen=True, slots=True)
class Condition:
    tests: tuple[OneOf | Between, ...] = ()

    def holds(self, slots: Mapping[str, int], comma: bool) -> Holds:
        held = [test.holds(slots, comma) for test in self.tests]
        if len(held) == 1:
            return held[0]
        return lambda answers: all(one(answers) for one in held)


def condition_of(where: str, node: Node, findings: Findings) -> Condition:
    """Reads a condition of the map; what is wrong goes to `findings`."""
    tests = list[OneOf | Between]()
    asked = findings.mapping(where, node)
    if not asked and node in ("", {}):
        findings.wrong(where, "must name a column and what it holds, as in {Status: Won}")
    for name, wanted in asked.items():
        column = " ".join(name.split())
        findings.mention(where, column)
        tests += _tests(under(where, name), column, wanted, findings)
    return Condition(tuple(tests))


def _tests(where: str, column: str, wanted: Node, findings: Findings) -> list[OneOf | Between]:
    if not isinstance(wanted, dict):
        return [OneOf(column, _words(where, wanted, findings))]
    tests = list[OneOf | Between]()
    known = findings.mapping(where, wanted, _TESTS)
    if "not" in known:
        tests.append(OneOf(column, _words(under(where, "not"), known["not"], findings), wanted=False))
    if "answered" in known:
        tests.append(OneOf(column, frozenset({""}), wanted=not _yes(under(where, "answered"), known, findings)))
    if "at_least" in known or "below" in known:
        low, high = (_number(where, key, known, findings) for key in ("at_least", "below"))
        tests.append(Between(column, low, high))
    return tests


def _words(where: str, node: Node, findings: Findings) -> frozenset[str]:
    return frozenset(word.casefold() for word in findings.texts(where, node))


def _yes(where: str, known: Mapping[str, Node], findings: Findings) -> bool:
    said = findings.text(where, known["answered"]).casefold()
    if said not in _YES_NO:
        findings.wrong(where, "must be yes or no")
    return _YES_NO.get(said, True)


def _number(where: str, key: str, known: Mapping[str, Node], findings: Findings) -> Decimal | None:
    if key not in known:
        return None
    number = number_of(findings.text(under(where, key), known[key]), comma=False)
    if number is None:
        findings.wrong(under(where, key), "must be a number")
    return number
