"""Where the lines are drawn, read from data: grades, temperatures and stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.scoring.domain.reading.values import Path, Values
from services.scoring.domain.ruleset import COLD, GRADES, HOT, UNKNOWN, WARM, Gate, Heat, Leave, StageLine
from shared.lifecycle import Stage, legal
from shared.reasons import Reason

MEASURES = ("score", "fit", "engagement")
_OWN_STAGES = (Stage.iql, Stage.mql, Stage.sql)


class Lines(Values):
    def read_grades(self, path: Path, data: object) -> dict[str, int] | None:
        table = self.table(path, data)
        if table is None:
            return None
        named = {grade: table.need(grade, self.points) for grade in GRADES[:-1]}
        table.done()
        found = {grade: least for grade, least in named.items() if least is not None}
        if list(found.values()) != sorted(found.values(), reverse=True):
            self.wrong(path, "must fall from A to C")
        return found

    def read_heats(self, path: Path, data: object) -> dict[str, Heat] | None:
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
        quiet = table.take("quiet_after", self.span)
        intent = table.take("intent_within", self.span)
        table.done()
        if enter is None or leave is None:
            return None
        if leave >= enter:
            self.wrong((*path, "leave"), "must be lower than `enter`, or a lead would flap between the two")
        return Heat(level, enter, leave, quiet, intent)

    def read_stages(self, path: Path, data: object) -> dict[Stage, StageLine] | None:
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
        leave = table.take("leave", self._leave)
        table.done()
        if stage is Stage.mql and "leave" not in table.data:
            self.wrong((*path, "leave"), "is missing")
        if stage is not Stage.mql and "leave" in table.data:
            self.wrong((*path, "leave"), f"has no meaning here: points never take a lead out of {stage}")
        for number, gate in enumerate(gates):
            self._above(path, number, gate, leave or Leave())
        return StageLine(stage, gates, leave)

    def _above(self, path: Path, number: int, gate: Gate, leave: Leave) -> None:
        """A gate that opens below the line of leaving would let a lead in and out with every event."""
        lines, leasts = (leave.score, leave.fit, leave.engagement), (gate.score, gate.fit, gate.engagement)
        for name, line, least in zip(MEASURES, lines, leasts, strict=True):
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
        score, fit, engagement = (table.take(name, self.points) for name in MEASURES)
        grades = table.take("grade", lambda at, value: self.names(at, value, {*GRADES, UNKNOWN}))
        levels = table.take("temperature", lambda at, value: self.names(at, value, {COLD, WARM, HOT}))
        groups = table.take("groups", self._group_points)
        reason = table.take("reason", self.text) or _reason(stage, table.data.keys())
        table.done()
        if not set(table.data) - {"reason"}:
            self.wrong(path, "asks for nothing; every lead would enter")
        if not all(legal(frm, stage, reason) for frm in _below(stage)):
            self.wrong((*path, "reason"), f"is not a reason for which leads enter {stage}")
        return Gate(reason, score, fit, engagement, grades, levels, groups or {})

    def _group_points(self, path: Path, data: object) -> dict[str, int] | None:
        def read(at: Path, code: str, value: object) -> int | None:
            return self.points(at, value) if self.group(at, code) else None

        return self.each(path, data, read)

    def _leave(self, path: Path, data: object) -> Leave | None:
        table = self.table(path, data)
        if table is None:
            return None
        score, fit, engagement = (table.take(name, self.points) for name in MEASURES)
        table.done()
        if not table.data:
            self.wrong(path, "asks for nothing")
        return Leave(score, fit, engagement)


def _below(stage: Stage) -> Sequence[Stage]:
    """The stages out of which points may take a lead into this one."""
    ladder = (Stage.registered, *_OWN_STAGES)
    return ladder[: ladder.index(stage)]


def _reason(stage: Stage, asked: Collection[str]) -> str:
    """What a gate without a reason of its own says."""
    looks_at_fit = bool({"grade", "fit", "score"} & set(asked))
    return Reason.fit_and_engagement if looks_at_fit and stage is not Stage.iql else Reason.score_reached
