"""How leads are loaded and kept: a fixed number of statements, however many leads; the sums move with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.insights.domain.lead import LeadView, Move
from services.insights.domain.note import Noted
from services.insights.domain.person import Person
from services.insights.domain.progress import Back, Cycle, Progress, Visit
from services.insights.domain.search import words_of
from services.insights.domain.tally import Origin, Tally, tallies
from shared.events.topics import lane_of
from shared.leads import Lead
from shared.lifecycle import Stage

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

SHARDS = 8
FLOW_LOCK = 7821

_COLUMNS: tuple[tuple[str, str, Callable[[Lead[LeadView]], object]], ...] = (
    ("lead_id", "uuid", lambda lead: lead.lead_id),
    ("site", "text", lambda lead: lead.state.origin.site),
    ("source", "text", lambda lead: lead.state.origin.source),
    ("channel", "text", lambda lead: lead.state.origin.channel),
    ("medium", "text", lambda lead: lead.state.medium),
    ("campaign", "text", lambda lead: lead.state.origin.campaign),
    ("test", "bool", lambda lead: lead.state.test),
    ("stage", "text", lambda lead: lead.state.stage or ""),
    ("cycle", "int", lambda lead: lead.state.progress.cycle),
    ("last_on_line", "text", lambda lead: lead.state.progress.last_on_line or ""),
    ("score", "float8", lambda lead: lead.state.score),
    ("temperature", "text", lambda lead: lead.state.temperature),
    ("scored_at", "timestamptz", lambda lead: lead.state.scored_at),
    ("name", "text", lambda lead: lead.state.person.name),
    ("company", "text", lambda lead: lead.state.person.company),
    ("email", "text", lambda lead: lead.state.person.email),
    ("phone", "text", lambda lead: lead.state.person.phone),
    ("role", "text", lambda lead: lead.state.person.role),
    ("noted", "jsonb", lambda lead: msgspec.to_builtins(lead.state.noted)),
    ("rep", "text", lambda lead: lead.state.rep),
    ("seen_at", "timestamptz", lambda lead: lead.state.seen_at),
    ("words", "text", lambda lead: words_of(lead.state.person)),
    ("created_at", "timestamptz", lambda lead: lead.state.created_at),
    ("updated_at", "timestamptz", lambda lead: lead.state.updated_at),
    ("moved_at", "timestamptz", lambda lead: lead.state.moved_at),
)
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)
_VALUES = ", ".join(
    "array_to_tsvector(string_to_array(words, ' '))" if name == "words" else name for name, _, _ in _COLUMNS
)
_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, (_, kind, _) in enumerate(_COLUMNS, start=1))
_SETS = ", ".join(f"{name} = excluded.{name}" for name, _, _ in _COLUMNS[1:])

_TALLY_KEY = "day, test, measure, site, source, channel, campaign, product, shard"
_TALLY_ARRAYS = """$1::date[], $2::bool[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::smallint[]"""
_SAME_TALLY = " AND ".join(f"t.{name} = f.{name}" for name in _TALLY_KEY.split(", "))


class LeadViews:
    """`zone` is the installation's: it says on which day something happened."""

    zone: tzinfo = UTC

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, LeadView]:
        views = {lead_id: LeadView() for lead_id in lead_ids}
        for row in await connection.fetch("SELECT * FROM insights.lead WHERE lead_id = ANY($1)", lead_ids):
            views[row["lead_id"]] = _view(row)
        for row in await connection.fetch("SELECT * FROM insights.reached WHERE lead_id = ANY($1)", lead_ids):
            cycle = _cycle(views, row)
            cycle.product = row["product"]
            cycle.reached[Stage(row["stage"])] = Visit(row["at"], row["entered"], row["day"])
        for row in await connection.fetch("SELECT * FROM insights.went_back WHERE lead_id = ANY($1)", lead_ids):
            way = Back(Stage(row["from_stage"]), Stage(row["to_stage"]), row["word"])
            _cycle(views, row).back[way] = Visit(row["at"], row["times"], row["day"])
        for view in views.values():
            view.counted = _sums(view)
        return views

    async def save(self, connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
        """The flow comes last: its lock is held to the end of the transaction."""
        await _save_days(connection, leads)
        changed = [lead for lead in leads if lead.state.entries]
        if not changed:
            return
        await _save_leads(connection, changed)
        await _save_entries(connection, changed)
        moved = [lead for lead in changed if lead.state.moves]
        for lead in moved:
            lead.state.progress.date(self.zone)
        await _save_progress(connection, moved)
        await _add(connection, ((lead.lead_id, _sums(lead.state), lead.state.counted) for lead in changed))
        await _save_moves(connection, moved)

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        views = await self.load(connection, lead_ids)
        await _add(connection, ((lead_id, Counter[Tally](), view.counted) for lead_id, view in views.items()))
        removed: dict[UUID, dict[str, int]] = {lead_id: {} for lead_id in lead_ids}
        for table in ("timeline", "flow", "went_back", "reached", "lead"):
            rows = await connection.fetch(
                f"""WITH gone AS (DELETE FROM insights.{table} WHERE lead_id = ANY($1) RETURNING lead_id)
                    SELECT lead_id, count(*) AS rows FROM gone GROUP BY lead_id""",
                lead_ids,
            )
            for row in rows:
                removed[row["lead_id"]][table] = row["rows"]
        return removed


def person_in(row: asyncpg.Record) -> Person:
    return Person(row["name"], row["company"], row["email"], row["phone"], row["role"])


def _view(row: asyncpg.Record) -> LeadView:
    return LeadView(
        known=True,
        person=person_in(row),
        origin=Origin(row["site"], row["source"], row["channel"], row["campaign"]),
        medium=row["medium"],
        test=row["test"],
        noted=msgspec.convert(row["noted"], Noted),
        rep=row["rep"],
        seen_at=row["seen_at"],
        stage=Stage(row["stage"]) if row["stage"] else None,
        progress=Progress(row["cycle"], {}, Stage(row["last_on_line"]) if row["last_on_line"] else None),
        score=row["score"],
        temperature=row["temperature"],
        scored_at=row["scored_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        moved_at=row["moved_at"],
    )


def _cycle(views: Mapping[UUID, LeadView], row: asyncpg.Record) -> Cycle:
    return views[row["lead_id"]].progress.cycles.setdefault(row["cycle"], Cycle())


def _sums(view: LeadView) -> Counter[Tally]:
    return tallies(view.progress, view.stage, view.origin, view.test)


async def _save_leads(connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
    await connection.execute(
        f"""INSERT INTO insights.lead ({_NAMES}) SELECT {_VALUES} FROM unnest({_ARRAYS}) AS new({_NAMES})
            ON CONFLICT (lead_id) DO UPDATE SET {_SETS}""",
        *([value(lead) for lead in leads] for _, _, value in _COLUMNS),
    )


async def _save_entries(connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
    rows = [
        (lead.lead_id, entry.at, entry.event_id, entry.recorded, entry.type, entry.source, entry.data)
        for lead in leads
        for entry in lead.state.entries
    ]
    await connection.execute(
        """INSERT INTO insights.timeline (lead_id, at, event_id, recorded, type, source, data)
            SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[],
                $7::jsonb[])
            ON CONFLICT DO NOTHING""",
        *zip(*rows, strict=True),
    )


async def _save_progress(connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
    cycles = [(lead, number, cycle) for lead in leads for number, cycle in lead.state.progress.cycles.items()]
    reached = [
        (lead.lead_id, number, stage, cycle.product, visit.at, visit.day, visit.times)
        for lead, number, cycle in cycles
        for stage, visit in cycle.reached.items()
    ]
    if reached:
        await connection.execute(
            """INSERT INTO insights.reached (lead_id, cycle, stage, product, at, day, entered)
                SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::date[],
                    $7::int[])
                ON CONFLICT (lead_id, cycle, stage) DO UPDATE
                SET product = excluded.product, at = excluded.at, day = excluded.day, entered = excluded.entered
                WHERE (reached.product, reached.at, reached.entered)
                    IS DISTINCT FROM (excluded.product, excluded.at, excluded.entered)""",
            *zip(*reached, strict=True),
        )
    back = [
        (lead.lead_id, number, way.frm, way.to, way.word, visit.at, visit.day, visit.times)
        for lead, number, cycle in cycles
        for way, visit in cycle.back.items()
    ]
    if back:
        await connection.execute(
            """INSERT INTO insights.went_back (lead_id, cycle, from_stage, to_stage, word, at, day, times)
                SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                    $7::date[], $8::int[])
                ON CONFLICT (lead_id, cycle, from_stage, to_stage, word) DO UPDATE
                SET at = excluded.at, day = excluded.day, times = excluded.times
                WHERE went_back.times <> excluded.times""",
            *zip(*back, strict=True),
        )


async def _add(connection: Connection, leads: Iterable[tuple[UUID, Counter[Tally], Counter[Tally]]]) -> None:
    """Bring the sums from what the leads stood for to what they stand for now, in one order for all writers."""
    change: Counter[tuple[Tally, int]] = Counter()
    for lead_id, after, before in leads:
        shard = lane_of(lead_id) % SHARDS
        change.update({(tally, shard): times for tally, times in after.items()})
        change.subtract({(tally, shard): times for tally, times in before.items()})
    rows = sorted((*_key(tally), shard, times) for (tally, shard), times in change.items() if times)
    if rows:
        await connection.execute(
            f"""INSERT INTO insights.tally AS t ({_TALLY_KEY}, leads)
                SELECT * FROM unnest({_TALLY_ARRAYS}, $10::bigint[])
                ON CONFLICT ({_TALLY_KEY}) DO UPDATE SET leads = t.leads + excluded.leads""",
            *zip(*rows, strict=True),
        )
    fallen = [row[:-1] for row in rows if row[-1] < 0]
    if fallen:
        # A source of which nobody is left is not remembered, and sums stay as few as they can be.
        await connection.execute(
            f"""DELETE FROM insights.tally t USING unnest({_TALLY_ARRAYS}) AS f({_TALLY_KEY})
                WHERE t.leads = 0 AND {_SAME_TALLY}""",
            *zip(*fallen, strict=True),
        )


def _key(tally: Tally) -> tuple[date, bool, str, str, str, str, str, str]:
    origin = tally.origin
    return (
        tally.day, tally.test, tally.measure, origin.site, origin.source, origin.channel, origin.campaign,
        tally.product,
    )  # fmt: skip


async def _save_moves(connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
    moves = _in_order(leads)
    if not moves:
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", FLOW_LOCK)
    rows = [
        (lead_id, move.seq, move.cycle, move.frm, move.to, move.reason, move.value, move.currency, move.at,
         move.history)
        for lead_id, move in moves
    ]  # fmt: skip
    await connection.execute(
        """INSERT INTO insights.flow
                (pos, lead_id, seq, cycle, from_stage, to_stage, reason, value, currency, at, history)
            SELECT nextval('insights.flow_pos'), ordered.* FROM (
                SELECT lead_id, seq, cycle, from_stage, to_stage, reason, value, currency, at, history
                FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::timestamptz[], $10::bool[]) WITH ORDINALITY
                    AS row(lead_id, seq, cycle, from_stage, to_stage, reason, value, currency, at, history, place)
                ORDER BY place) ordered
            ON CONFLICT (lead_id, seq) DO NOTHING""",
        *zip(*rows, strict=True),
    )


def _in_order(leads: Sequence[Lead[LeadView]]) -> list[tuple[UUID, Move]]:
    """As they were recorded, those of one lead as they are numbered, however the clocks of two services differ."""
    placed: list[tuple[UUID, UUID, Move]] = []
    for lead in leads:
        place = UUID(int=0)
        for move in lead.state.moves:
            place = max(place, move.event_id)
            placed.append((place, lead.lead_id, move))
    placed.sort(key=lambda one: one[0])
    return [(lead_id, move) for _, lead_id, move in placed]


async def _save_days(connection: Connection, leads: Sequence[Lead[LeadView]]) -> None:
    """A day's figure may be told again as it grows; of two in one batch the later stands."""
    figures = {
        (lead.state.origin.site, day.day, day.what, day.source, day.conversion_point, day.currency): day
        for lead in leads
        for day in lead.state.days
    }
    if not figures:
        return
    rows = [(*key, day.count, Decimal(day.amount or 0), day.recorded) for key, day in sorted(figures.items())]
    await connection.execute(
        """INSERT INTO insights.market_day AS m
                (site, day, what, source, conversion_point, currency, count, amount, recorded)
            SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                $8::numeric[], $9::timestamptz[])
            ON CONFLICT (site, day, what, source, conversion_point, currency) DO UPDATE
            SET count = excluded.count, amount = excluded.amount, recorded = excluded.recorded
            WHERE excluded.recorded >= m.recorded""",
        *zip(*rows, strict=True),
    )
