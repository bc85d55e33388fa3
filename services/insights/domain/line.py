"""An entry of the timeline as the page of a lead shows it: with chips, points and a second line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from services.insights.domain.sentences import sentence
from services.insights.domain.words import points, reason, words
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.pages.figures import whole


@dataclass(frozen=True)
class Line:
    """`frm` and `to` are stages, of a stage change alone; `points` what a score rose or fell by."""

    summary: str
    detail: str = ""
    frm: str | None = None
    to: str | None = None
    points: float | None = None


def line(type_: str, data: Mapping[str, object]) -> Line:
    if type_ == StageChanged.type:
        return _moved(msgspec.convert(data, StageChanged))
    if type_ == ScoreChanged.type:
        return _scored(msgspec.convert(data, ScoreChanged))
    return Line(sentence(type_, data))


def _moved(move: StageChanged) -> Line:
    rule = f"Rule {words(move.rule)}, version {move.rule_version}" if move.rule else ""
    score = f"Score {whole(move.score)}" if move.score is not None else ""
    detail = ". ".join(part for part in (rule, score) if part)
    return Line(reason(move.reason, move.value, move.currency), detail, move.from_, move.to)


def _scored(score: ScoreChanged) -> Line:
    said = f"Score {whole(score.score)}" + (f", {score.temperature}" if score.temperature else "")
    change = None if score.previous_score is None else score.score - score.previous_score
    return Line(said, points(score.top_reasons), points=change)
