"""What follows once something was counted: the score is said, the lead moves on, and its timers are set."""

from __future__ import annotations

from datetime import datetime

from services.scoring.domain.moments import moment, when
from services.scoring.domain.ruleset import RuleSet
from services.scoring.domain.scored import Mark, Memory, Said, Scored, strongest
from services.scoring.domain.stages import (
    BACK_FROM_SALES,
    Asked,
    Bought,
    Figures,
    Move,
    Situation,
    hold_until,
    next_move,
)
from shared.events.scoring import ScoreChanged
from shared.events.stage import StageChanged, TopReason
from shared.leads import Lead
from shared.lifecycle import OWNER, Stage
from shared.reasons import Reason

COOL, HOLD = "cool", "hold"

_WITH_SALES = frozenset(stage for stage, owner in OWNER.items() if owner == "handover") | BACK_FROM_SALES


def conclude(
    lead: Lead[Scored],
    now: datetime,
    *,
    at: int | None = None,
    score_before: int | None = None,
    history: bool = False,
    new_rules: bool = False,
    decide: bool = True,
) -> None:
    """Say, decide, remember and set the timers, with the figures as `at` a moment, now by default.

    `score_before` is that of this moment without the event, in tenths; without it, what was last said is compared.
    """
    scored, memory = lead.state, lead.state.memory
    memory.as_of = moment(now) if at is None else at
    figures = scored.figures = memory.figures(scored.rules, memory.as_of)
    _say_score(lead, figures, score_before)
    if decide and is_ours(lead):
        # While history is told only a purchase moves a lead, at its own date; all else waits for the judgement.
        telling = history or not memory.begun
        move = next_move(_situation(lead, figures, moment(now), telling, new_rules), scored.rules)
        if move is not None:
            move_to(lead, move, _date_of(lead, now, telling))
    _mark(lead, figures)
    if memory.begun:
        _set_timers(lead, figures)


def is_ours(lead: Lead[Scored]) -> bool:
    """Whether scoring may move the lead on; one that was merged away waits until it is taken apart again."""
    return lead.mine and lead.standing.stage is not Stage.merged


def move_to(lead: Lead[Scored], move: Move, time: datetime | None = None) -> None:
    """Move the lead, with all that whoever takes it over has to know."""
    scored, memory = lead.state, lead.state.memory
    figures = memory.figures(scored.rules, memory.as_of)
    said_before = len(lead.saying)
    lead.move(
        move.to,
        move.reason,
        time=time,
        rule=move.rule,
        rule_version=scored.rules.version,
        score=figures.score / 10,
        temperature=figures.temperature,
        top_reasons=_top_reasons(memory, scored.rules),
        asked_for=move.asked_for,
        value=move.value,
        currency=move.currency,
    )
    for envelope in lead.saying[said_before:]:
        if isinstance(envelope.data, StageChanged):
            note_stage(scored, envelope.data, moment(envelope.time))


def note_stage(scored: Scored, data: StageChanged, at: int) -> None:
    """Remember what later decisions need of a stage event, whoever said it."""
    memory, to = scored.memory, Stage(data.to)
    memory.stage_at, memory.stage_reason = at, data.reason
    if to in _WITH_SALES or (to is Stage.disqualified and data.from_ in _WITH_SALES):
        memory.served_until = max(at, memory.served_until or at)
    if to is not Stage.registered:
        return
    if data.from_ == Stage.disqualified:
        memory.released_at = at
    if data.asked_for:
        memory.asked_at_birth = _asked_for(data.asked_for, at, scored.rules)
    if data.reason == Reason.purchase:
        memory.bought_at_birth = Bought(at, data.value, data.currency)


def _asked_for(activity: str, at: int, rules: RuleSet) -> Asked | None:
    """The request behind a stage event. Rules that no longer know it have decided that it is none."""
    for request in rules.requests:
        if activity in request.activities or activity == request.code:
            return Asked(at, request.code, request.reason)
    return None


def _say_score(lead: Lead[Scored], figures: Figures, score_before: int | None) -> None:
    scored, memory = lead.state, lead.state.memory
    said = memory.said or Said()
    compared = said.score if score_before is None else score_before
    if (figures.score, figures.grade, figures.temperature) == (compared, said.grade, said.temperature):
        return
    lead.say(
        ScoreChanged(
            score=figures.score / 10,
            fit=figures.fit / 10,
            engagement=figures.engagement / 10,
            grade=figures.grade,
            temperature=figures.temperature,
            cycle=memory.cycle,
            rules_version=scored.rules.version,
            previous_score=None if memory.said is None else said.score / 10,
            top_reasons=_top_reasons(memory, scored.rules),
        ),
        time=when(memory.as_of),
    )
    memory.said = Said(figures.score, figures.grade, figures.temperature)


def _top_reasons(memory: Memory, rules: RuleSet) -> list[TopReason]:
    awards = [entry.award for entry in memory.fit] + memory.interest.awards
    return [TopReason(rule, tenths / 10, rules.says[rule]) for rule, tenths in strongest(awards, memory.as_of)]


def _situation(lead: Lead[Scored], figures: Figures, now: int, telling: bool, new_rules: bool) -> Situation:
    scored, memory, stage = lead.state, lead.state.memory, lead.standing.stage
    assert stage is not None
    asked = [asked for asked in (memory.asked, memory.asked_at_birth) if asked is not None]
    return Situation(
        stage=stage,
        stage_at=memory.stage_at,
        stage_reason=memory.stage_reason,
        now=now,
        figures=figures,
        groups={} if telling else memory.by_group(scored.rules, memory.as_of),
        asked=max(asked, key=lambda one: one.at, default=None),
        bought=memory.bought or memory.bought_at_birth,
        flagged=memory.flagged,
        served_until=memory.served_until,
        released_at=memory.released_at,
        only_purchase=telling,
        because_of_rules=new_rules,
    )


def _date_of(lead: Lead[Scored], now: datetime, telling: bool) -> datetime | None:
    """When the move happened: a purchase in history at its own date, a judgement of history now."""
    memory = lead.state.memory
    bought = memory.bought or memory.bought_at_birth
    if telling and bought is not None:
        return when(max(bought.at, memory.stage_at))
    return now if lead.cause.history else None


def _mark(lead: Lead[Scored], figures: Figures) -> None:
    scored, memory, last = lead.state, lead.state.memory, lead.state.memory.mark
    mark = Mark(
        at=memory.as_of if last is None else max(memory.as_of, last.at),
        stage=str(lead.standing.stage or ""),
        cycle=memory.cycle,
        grade=figures.grade,
        temperature=figures.temperature,
        rules_version=scored.rules_version,
    )
    if last is None or mark.says != last.says:
        scored.marks.append(mark)
        memory.mark = mark


def is_above(lead: Lead[Scored], now: datetime) -> bool:
    """Whether time alone has not taken the lead below a line yet; then the timer is set for when it will."""
    rules, memory = lead.state.rules, lead.state.memory
    figures = memory.figures(rules, memory.as_of)
    crossing = memory.next_crossing(rules, figures, memory.as_of, _stage_of_ours(lead))
    _set(lead, COOL, crossing)
    return crossing is None or crossing > moment(now)


def _set_timers(lead: Lead[Scored], figures: Figures) -> None:
    """The one for cooling may go off early, never late: the very moment is solved when it does.

    It stays where it is while that is early enough, so most events leave it alone.
    """
    scored, memory, stage = lead.state, lead.state.memory, _stage_of_ours(lead)
    crossing = memory.none_crossed_before(scored.rules, figures, memory.as_of, stage)
    if crossing is None or COOL not in lead.timers or lead.timers[COOL] > when(crossing):
        _set(lead, COOL, crossing)
    hold = None if stage is None else hold_until(stage, memory.stage_at, memory.stage_reason)
    _set(lead, HOLD, hold if hold is not None and hold > memory.as_of else None)


def _stage_of_ours(lead: Lead[Scored]) -> Stage | None:
    return lead.standing.stage if is_ours(lead) else None


def _set(lead: Lead[Scored], name: str, at: int | None) -> None:
    if at is None:
        lead.timers.pop(name, None)
    else:
        lead.timers[name] = when(at)
