"""An entry of the timeline as the page of a lead shows it: with chips, points and a second line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

import msgspec

from services.insights.domain.sentences import sentence
from services.insights.domain.words import points, reason, words
from shared.events.handover import Offered
from shared.events.nurture import Deferred
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged
from shared.pages.figures import whole

_MOMENTS: Mapping[str, tuple[str, str]] = {
    Offered.type: ("due_at", "To answer by"),
    Deferred.type: ("until", "Tried again"),
}


@dataclass(frozen=True)
class Line:
    """`frm` and `to` are stages, of a stage change alone; `points` what a score rose or fell by."""

    summary: str
    detail: str = ""
    frm: str | None = None
    to: str | None = None
    points: float | None = None


def line(type_: str, data: Mapping[str, object], zone: tzinfo) -> Line:
    """Moments that an event speaks of are told in `zone`, on the second line."""
    if type_ == StageChanged.type:
        return _moved(msgspec.convert(data, StageChanged))
    if type_ == ScoreChanged.type:
        return _scored(msgspec.convert(data, ScoreChanged))
    name, before = _MOMENTS.get(type_, ("", ""))
    if data.get(name):
        rest = {key: value for key, value in data.items() if key != name}
        return Line(sentence(type_, rest), f"{before} {_moment(str(data[name]), zone)}")
    return Line(sentence(type_, data))


def _moment(text: str, zone: tzinfo) -> str:
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except ValueError:
        return text
    return f"{at.day} {at:%b}, {at:%H:%M}"


def _moved(move: StageChanged) -> Line:
    rule = f"Rule {words(move.rule.rpartition('.')[2])}" if move.rule else ""
    rule += f", version {move.rule_version}" if rule and move.rule_version else ""
    score = f"Score {whole(move.score)}" if move.score is not None else ""
    detail = ". ".join(part for part in (rule, score) if part)
    return Line(reason(move.reason, move.value, move.currency), detail, move.from_, move.to)


def _scored(score: ScoreChanged) -> Line:
    said = f"Score {whole(score.score)}" + (f", {score.temperature}" if score.temperature else "")
    change = None if score.previous_score is None else score.score - score.previous_score
    fell = "Still counts most: " if change is not None and change < 0 and score.top_reasons else ""
    return Line(said, fell + points(score.top_reasons), points=change)
