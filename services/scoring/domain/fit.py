"""How well a lead fits, from what is known of it: once per rule, in the order of the rules."""

from __future__ import annotations

from collections.abc import Mapping

from services.scoring.domain.conditions import Known
from services.scoring.domain.ruleset import UNKNOWN, FitRule, RuleSet


def fit_of(known: Known, rules: RuleSet) -> dict[str, int]:
    """Tenths by rule code for all that holds. A group counts up to its cap, what adds and what takes away alike."""
    given: dict[str, int] = {}
    used: dict[tuple[str, bool], int] = {}
    for rule in rules.fit:
        if not rule.when.holds(known):
            continue
        tenths = _within_group(rule, rules.groups, used)
        if tenths:
            given[rule.code] = tenths
    return given


def _within_group(rule: FitRule, caps: Mapping[str, int], used: dict[tuple[str, bool], int]) -> int:
    if rule.group is None:
        return rule.tenths
    side = (rule.group, rule.tenths > 0)
    room = max(0, caps[rule.group] - used.get(side, 0))
    size = min(abs(rule.tenths), room)
    used[side] = used.get(side, 0) + size
    return size if rule.tenths > 0 else -size


def grade_of(known: Known, tenths: int, rules: RuleSet) -> str:
    """`A` to `D`, or `unknown` while nothing tells who the lead is: no evidence is not the same as a bad fit."""
    if not _is_evident(known, rules):
        return UNKNOWN
    return next((grade for grade, least in rules.grades.items() if tenths >= least), "D")


def _is_evident(known: Known, rules: RuleSet) -> bool:
    if any(known.get(name, "").strip() for name in rules.evidence):
        return True
    return any(rule.evidence and rule.when.holds(known) for rule in rules.fit)
