"""A lead's score at a moment, with every entry it is made of, in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.scoring.domain.ledger import Entry, standing
from services.scoring.domain.moments import DAY, in_words, moment, when
from services.scoring.domain.ruleset import COLD, UNKNOWN
from services.scoring.domain.scored import Memory
from services.scoring.repository import entries_of
from services.scoring.rulebook import Rulebook
from services.scoring.schemas import Score, ScoreEntry
from shared.errors import NotFound
from shared.lifecycle import Stage

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection


async def score_at(
    connection: Connection, rulebook: Rulebook, lead_id: UUID, now: datetime, as_of: datetime | None
) -> Score:
    """The score now, or as of a moment: what had happened by then, whenever it became known.

    Stage, grade and temperature are those the lead had then. Raises `NotFound`. Wants one snapshot: call it inside a
    transaction that reads repeatably.
    """
    row = await connection.fetchrow(
        """SELECT s.stage, s.cycle, r.grade, r.rules_version, r.memory FROM scoring.standing s
           JOIN scoring.state r USING (lead_id) WHERE lead_id = $1 AND NOT s.erased""",
        lead_id,
    )
    if row is None:
        raise NotFound("no such lead")
    entries = (await entries_of(connection, [lead_id]))[lead_id]
    if as_of is None:
        was = await _as_it_is(connection, rulebook, row, now)
    else:
        was = await _as_it_was(connection, lead_id, as_of)
    return _score(lead_id, as_of or now, was, entries)


class _Was(msgspec.Struct):
    stage: str = ""
    cycle: int = 1
    grade: str = UNKNOWN
    temperature: str = COLD
    rules_version: int = 0


async def _as_it_is(connection: Connection, rulebook: Rulebook, row: asyncpg.Record, now: datetime) -> _Was:
    rules = (await rulebook.live(connection)).rules
    memory = msgspec.json.decode(row["memory"], type=Memory)
    temperature = memory.interest.temperature(rules, moment(now))
    return _Was(row["stage"], memory.cycle, row["grade"], temperature, row["rules_version"])


async def _as_it_was(connection: Connection, lead_id: UUID, at: datetime) -> _Was:
    mark = await connection.fetchrow(
        """SELECT stage, cycle, grade, temperature, rules_version FROM scoring.mark
           WHERE lead_id = $1 AND at <= $2 ORDER BY at DESC, number DESC LIMIT 1""",
        lead_id,
        at,
    )
    return _Was(**mark) if mark else _Was()


def _score(lead_id: UUID, at: datetime, was: _Was, entries: Iterable[Entry]) -> Score:
    counting = [e for e in standing(entries, moment(at)) if e.kind == "fit" or e.cycle == was.cycle]
    worth = [(entry, tenths) for entry in counting if (tenths := entry.award.worth(moment(at)))]
    fit = sum(tenths for entry, tenths in worth if entry.kind == "fit")
    engagement = sum(tenths for entry, tenths in worth if entry.kind == "engagement")
    return Score(
        lead_id=lead_id,
        as_of=at,
        score=(fit + engagement) / 10,
        fit=fit / 10,
        engagement=engagement / 10,
        grade=was.grade,
        temperature=was.temperature,
        stage=Stage(was.stage) if was.stage else None,
        cycle=was.cycle,
        rules_version=was.rules_version,
        entries=[_said(entry, tenths) for entry, tenths in worth],
    )


def _said(entry: Entry, tenths: int) -> ScoreEntry:
    award = entry.award
    return ScoreEntry(
        points=tenths / 10,
        rule=award.rule,
        rule_version=entry.rule_version,
        event_id=award.event_id,
        at=when(award.at),
        reason=in_a_sentence(entry, tenths),
        kind=entry.kind,
        points_given=award.tenths / 10,
        half_life_days=None if award.half_life is None else award.half_life / DAY,
    )


def in_a_sentence(entry: Entry, tenths: int) -> str:
    """`Asked for a demo on 3 March 2026: 40 points, 20 of them left; half goes every 30 days.`"""
    award = entry.award
    day = when(award.at)
    on = "" if entry.kind == "fit" else f" on {day.day} {day:%B %Y}"
    given = f"{award.tenths / 10:g} point{'' if abs(award.tenths) == 10 else 's'}"
    if award.half_life is None:
        return f"{entry.reason}{on}: {given}."
    left = "" if tenths == award.tenths else f", {tenths / 10:g} of them left"
    return f"{entry.reason}{on}: {given}{left}; half goes every {in_words(award.half_life)}."
