"""What earns points, read from data: groups, fit rules, engagement rules and requests."""

from __future__ import annotations

from services.scoring.domain.fields import ANSWERS, FACT_FIELDS, FIT_FIELDS
from services.scoring.domain.reading.condition import Conditions
from services.scoring.domain.reading.values import Path
from services.scoring.domain.ruleset import EngagementRule, FitRule, Most, Request
from shared.reasons import FAST_TRACK, Reason


class Earning(Conditions):
    def read_groups(self, path: Path, data: object) -> dict[str, int] | None:
        return self.each(path, data, self._group)

    def _group(self, path: Path, _code: str, data: object) -> int | None:
        table = self.table(path, data)
        if table is None:
            return None
        most = table.need("most", self.positive_points)
        table.done()
        return most

    def read_fit_rule(self, path: Path, code: str, data: object) -> FitRule | None:
        table = self.table(path, data)
        if table is None:
            return None
        says = table.need("says", self.text)
        tenths = table.need("points", self.points)
        when = table.need("when", lambda at, value: self.condition(at, value, _is_fit_field))
        group = table.take("group", self.group)
        evidence = table.take("evidence", self.yes_or_no)
        table.done()
        if says is None or tenths is None or when is None:
            return None
        return FitRule(code, says, tenths, when, group, evidence is not False)

    def read_engagement(self, path: Path, data: object) -> tuple[EngagementRule, ...] | None:
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
        when = table.take("when", lambda at, value: self.condition(at, value, _is_fact_field))
        group = table.take("group", self.group)
        intent = table.take("intent", self.yes_or_no)
        table.done()
        if says is None or activities is None or tenths is None or half_life is None or most is None:
            return None
        return EngagementRule(code, says, activities, tenths, half_life or None, most, when, group, intent is True)

    def _most(self, path: Path, data: object) -> Most | None:
        table = self.table(path, data)
        if table is None:
            return None
        tenths = table.take("points", self.positive_points)
        times = table.take("times", self.count)
        within = table.take("within", self.span)
        table.done()
        if "points" not in table.data and "times" not in table.data:
            self.wrong(path, "needs `points`, `times` or both: without an end one eager visitor outscores everybody")
        if "within" in table.data and "times" not in table.data:
            self.wrong((*path, "within"), "goes with `times`")
        return Most(tenths, times, within)

    def read_requests(self, path: Path, data: object) -> tuple[tuple[Request, ...], int] | None:
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
        when = table.take("when", lambda at, value: self.condition(at, value, _is_fact_field))
        table.done()
        if activities is None or reason is None:
            return None
        return Request(code, activities, reason, when)


def _is_fit_field(name: str) -> bool:
    return name in FIT_FIELDS or (name.startswith(ANSWERS) and len(name) > len(ANSWERS))


def _is_fact_field(name: str) -> bool:
    return name in FACT_FIELDS
