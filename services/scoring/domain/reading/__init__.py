"""Reads a rule set from plain data, strictly: whatever is not understood is an error that names its place."""

from __future__ import annotations

from collections.abc import Sequence

from services.scoring.domain.reading.earning import Earning
from services.scoring.domain.reading.lines import Lines
from services.scoring.domain.reading.values import Path
from services.scoring.domain.ruleset import FitRule, RuleSet
from shared.reasons import DISQUALIFY_REASONS, Reason


class BadRules(ValueError):
    """The rule set cannot be used. `problems` are (place, what is wrong there), place by keys: `("fit", "rules")`."""

    def __init__(self, problems: Sequence[tuple[Path, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{'.'.join(map(str, path)) or 'the rule set'} {why}" for path, why in problems))


def read_rules(data: object) -> RuleSet:
    """The rule set that data in the shape of `rules/default.yaml` describes. Raises `BadRules` with all its faults."""
    reader = _Rules()
    rules = reader.rule_set(data)
    if reader.problems or rules is None:
        raise BadRules(reader.problems)
    return rules


class _Rules(Earning, Lines):
    """Reads the whole of a rule set."""

    def rule_set(self, data: object) -> RuleSet | None:
        table = self.table((), data)
        if table is None:
            return None
        version = table.take("version", self.version) or 1
        name = table.take("name", self.text) or ""
        self.groups = table.take("groups", self.read_groups) or {}
        fit, grades = table.need("fit", self._fit) or ((), {})
        engagement = table.need("engagement", self.read_engagement) or ()
        requests, fresh_for = table.need("requests", self.read_requests) or ((), 0)
        come_back = table.take("come_back", self._come_back) or frozenset()
        heats = table.need("temperature", self.read_heats) or {}
        stages = table.need("stages", self.read_stages) or {}
        table.done()
        for code in sorted({rule.code for rule in fit} & {rule.code for rule in engagement}):
            self.wrong(("engagement", "rules", code), "is also the name of a fit rule; names are used once")
        return RuleSet(
            version, name, self.groups, fit, grades, engagement, requests, fresh_for, come_back, heats, stages
        )

    def _fit(self, path: Path, data: object) -> tuple[tuple[FitRule, ...], dict[str, int]] | None:
        table = self.table(path, data)
        if table is None:
            return None
        rules = table.need("rules", lambda at, value: self.each(at, value, self.read_fit_rule)) or {}
        grades = table.need("grades", self.read_grades) or {}
        table.done()
        return tuple(rules.values()), grades

    def _come_back(self, path: Path, data: object) -> frozenset[str] | None:
        names = self.items(path, data)
        if names is None:
            return None
        allowed = DISQUALIFY_REASONS | {Reason.unconfirmed}
        found = [self.one_of((*path, number), name, allowed) for number, name in enumerate(names)]
        return frozenset(name for name in found if name)
