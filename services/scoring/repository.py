"""How leads are loaded and kept: some statements for any number of leads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from uuid import UUID

import asyncpg
import msgspec

from services.scoring.domain.award import Award
from services.scoring.domain.engagement import Fact
from services.scoring.domain.ledger import Entry
from services.scoring.domain.moments import moment, when
from services.scoring.domain.scored import Memory, Past, Scored
from services.scoring.rulebook import Rulebook

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.leads import Lead
    from shared.service import Runtime

_NOBODY = UUID(int=0)
_MICROSECOND = timedelta(microseconds=1)

_memory = msgspec.json.Decoder(Memory)
_encode = msgspec.json.Encoder().encode


class Repository:
    """Loads the row of a lead; and all that was recorded of it where its rules are not the live ones any more."""

    def __init__(self, rulebook: Rulebook | None = None) -> None:
        self.rulebook = rulebook or Rulebook()

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Scored]:
        scored = await self._load_rows(connection, lead_ids)
        outdated = [lead_id for lead_id, one in scored.items() if one.rules_version != one.rules.version]
        await self._load_past(connection, outdated, scored)
        return scored

    async def recall(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Scored]:
        """As `load`, with all that was ever recorded of each lead."""
        scored = await self._load_rows(connection, lead_ids)
        await self._load_past(connection, lead_ids, scored)
        return scored

    async def _load_rows(self, connection: Connection, lead_ids: Sequence[UUID]) -> dict[UUID, Scored]:
        live = await self.rulebook.live(connection)
        rows = await connection.fetch(
            "SELECT lead_id, rules_version, memory FROM scoring.state WHERE lead_id = ANY($1)", lead_ids
        )
        known = {row["lead_id"]: row for row in rows}
        scored: dict[UUID, Scored] = {}
        for lead_id in lead_ids:
            row = known.get(lead_id)
            memory = _memory.decode(row["memory"]) if row else Memory()
            version = row["rules_version"] if row else live.rules.version
            scored[lead_id] = Scored(memory, live.rules, version, live.since_moment)
        return scored

    async def _load_past(self, connection: Connection, lead_ids: Sequence[UUID], scored: Mapping[UUID, Scored]) -> None:
        if not lead_ids:
            return
        facts: dict[UUID, list[Fact]] = defaultdict(list)
        rows = await connection.fetch(
            "SELECT lead_id, event_id, at, activity, details FROM scoring.fact WHERE lead_id = ANY($1)", lead_ids
        )
        for row in rows:
            fact = Fact(row["event_id"], moment(row["at"]), row["activity"], row["details"])
            facts[row["lead_id"]].append(fact)
        entries = await entries_of(connection, lead_ids)
        cards = await connection.fetch(
            "SELECT lead_id, event_id, known FROM scoring.card WHERE lead_id = ANY($1)", lead_ids
        )
        card_of = {row["lead_id"]: row for row in cards}
        for lead_id in lead_ids:
            card = card_of.get(lead_id)
            scored[lead_id].past = Past(
                facts=facts[lead_id],
                entries=entries[lead_id],
                card=card["known"] if card else {},
                card_event=card["event_id"] if card else _NOBODY,
            )

    async def save(self, connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
        changed = [lead for lead in leads if lead.state.figures is not None]
        if not changed:
            return
        await _add_facts(connection, changed)
        await _add_entries(connection, changed)
        await _save_cards(connection, changed)
        await _add_marks(connection, changed)
        await _save_rows(connection, changed)

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        removed: dict[UUID, dict[str, int]] = defaultdict(dict)
        for table in ("state", "entry", "fact", "card", "mark"):
            rows = await connection.fetch(
                f"""WITH gone AS (DELETE FROM scoring.{table} WHERE lead_id = ANY($1) RETURNING lead_id)
                    SELECT lead_id, count(*) AS rows FROM gone GROUP BY lead_id""",
                lead_ids,
            )
            for row in rows:
                removed[row["lead_id"]][table] = row["rows"]
        return removed


def rulebook_of(runtime: Runtime[Scored]) -> Rulebook:
    """The rule versions as this process has read them."""
    return cast("Repository", runtime.leads.repository).rulebook


async def entries_of(connection: Connection, lead_ids: Sequence[UUID]) -> dict[UUID, list[Entry]]:
    """The points histories of these leads, each in the order in which it was written."""
    rows = await connection.fetch("SELECT * FROM scoring.entry WHERE lead_id = ANY($1) ORDER BY id", lead_ids)
    found: dict[UUID, list[Entry]] = defaultdict(list)
    for row in rows:
        found[row["lead_id"]].append(_entry(row))
    return found


def _entry(row: asyncpg.Record) -> Entry:
    half_life = row["half_life"]
    award = Award(
        rule=row["rule"],
        event_id=row["event_id"],
        at=moment(row["at"]),
        tenths=row["tenths"],
        half_life=None if half_life is None else half_life // _MICROSECOND,
    )
    return Entry(
        id=row["id"],
        kind=row["kind"],
        cycle=row["cycle"],
        rule_version=row["rule_version"],
        since=moment(row["since"]),
        award=award,
        reason=row["reason"],
        retracts=row["retracts"],
    )


async def _add_facts(connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
    rows = [
        (lead.lead_id, fact.event_id, when(fact.at), fact.activity, dict(fact.details))
        for lead in leads
        for fact in lead.state.facts
    ]
    if rows:
        await connection.execute(
            """INSERT INTO scoring.fact (lead_id, event_id, at, activity, details)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::jsonb[])""",
            *zip(*rows, strict=True),
        )


async def _add_entries(connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
    rows = [
        (
            lead.lead_id, entry.id, entry.kind, entry.cycle, entry.award.rule, entry.rule_version,
            entry.award.event_id, when(entry.award.at), when(entry.since), entry.award.tenths,
            None if entry.award.half_life is None else timedelta(microseconds=entry.award.half_life),
            entry.reason, entry.retracts,
        )
        for lead in leads
        for entry in lead.state.entries
    ]  # fmt: skip
    if rows:
        await connection.execute(
            """INSERT INTO scoring.entry (lead_id, id, kind, cycle, rule, rule_version, event_id, at, since, tenths,
                    half_life, reason, retracts)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::int[], $7::uuid[],
                    $8::timestamptz[], $9::timestamptz[], $10::int[], $11::interval[], $12::text[], $13::uuid[])""",
            *zip(*rows, strict=True),
        )


async def _save_cards(connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
    rows = [
        (lead.lead_id, lead.state.card_event, dict(lead.state.card)) for lead in leads if lead.state.card is not None
    ]
    if rows:
        await connection.execute(
            """INSERT INTO scoring.card (lead_id, event_id, known)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::jsonb[])
               ON CONFLICT (lead_id) DO UPDATE SET event_id = excluded.event_id, known = excluded.known""",
            *zip(*rows, strict=True),
        )


async def _add_marks(connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
    rows = [
        (lead.lead_id, when(mark.at), mark.stage, mark.cycle, mark.grade, mark.temperature, mark.rules_version, place)
        for lead in leads
        for place, mark in enumerate(lead.state.marks)
    ]
    if rows:
        await connection.execute(
            """INSERT INTO scoring.mark (lead_id, at, stage, cycle, grade, temperature, rules_version)
               SELECT lead_id, at, stage, cycle, grade, temperature, rules_version
               FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::int[], $5::text[], $6::text[], $7::int[],
                    $8::int[]) AS mark(lead_id, at, stage, cycle, grade, temperature, rules_version, place)
               ORDER BY place""",
            *zip(*rows, strict=True),
        )


async def _save_rows(connection: Connection, leads: Sequence[Lead[Scored]]) -> None:
    rows = [_row(lead) for lead in leads]
    await connection.execute(
        """INSERT INTO scoring.state AS old
                (lead_id, rules_version, as_of, score, fit, engagement, grade, temperature, memory)
           SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::text[],
                $8::text[], $9::json[])
           ON CONFLICT (lead_id) DO UPDATE SET rules_version = excluded.rules_version, as_of = excluded.as_of,
                score = excluded.score, fit = excluded.fit, engagement = excluded.engagement,
                grade = excluded.grade, temperature = excluded.temperature, memory = excluded.memory""",
        *zip(*rows, strict=True),
    )


def _row(lead: Lead[Scored]) -> tuple[object, ...]:
    state, memory = lead.state, lead.state.memory
    figures = state.figures
    assert figures is not None
    return (
        lead.lead_id, state.rules_version, when(memory.as_of), figures.score, figures.fit, figures.engagement,
        figures.grade, figures.temperature, _encode(memory).decode(),
    )  # fmt: skip
