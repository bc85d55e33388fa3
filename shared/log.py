"""A speaker's log is its queue: events are appended last in the transaction that makes them true, and read by position.

An advisory lock per (speaker, lane), held to commit, makes positions become visible in order within a lane, so
a reader that remembers its last position per lane skips nothing and swaps nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from shared.clock import EPOCH, uuid7_at
from shared.events.capture import CardChanged, CardErased
from shared.events.codec import Stored, encode_attributes, encode_body
from shared.events.envelope import Envelope, Event
from shared.events.topics import LANES, SERVICES, lane_of

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

# The first key of the advisory locks: one per speaker and never reused for anything else.
LOCK_OF = {service: 7700 + number for number, service in enumerate(SERVICES)}

# A row can become visible this long after its id was made; readers look back that far.
LOOK_BACK = timedelta(days=1)
# Each empty day that lies ready costs every reader a look into it.
DAYS_AHEAD = 3


async def append(connection: Connection, speaker: str, said: Sequence[Envelope[Event]]) -> None:
    """Append events as the last step of a transaction: the lanes stay locked until it ends.

    A lead's events must come in the order of their `seq`, under the lock of the lead's row.
    """
    if not said:
        return
    rows = [_row(envelope, encode_attributes(envelope.attributes)) for envelope in said]
    # Not one row is made, and so no position given out, before the count of the locked lanes is known.
    await connection.execute(
        f"""WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($9, lane) FROM unnest($10::int[]) lane)
            INSERT INTO bus.{speaker}_log (event_id, topic, lane, pos, lead_id, seq, type, attributes, body)
            SELECT event_id, topic, lane, nextval('bus.{speaker}_pos'), lead_id, seq, type, attributes, body
            FROM (SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::uuid[], $5::bigint[], $6::text[],
                    $7::text[], $8::text[]) WITH ORDINALITY
                  AS row(event_id, topic, lane, lead_id, seq, type, attributes, body, place)
                  WHERE (SELECT count(*) FROM locked) > 0 ORDER BY place) ordered""",
        *zip(*rows, strict=True),
        LOCK_OF[speaker],
        sorted({row[2] for row in rows}),
    )


def _row(said: Envelope[Event], attributes: str) -> tuple[UUID, str, int, UUID, int, str, str, str]:
    data, lead_id = said.data, said.lead_id
    # The log keeps no card: whoever carries the row reads the card as it then is.
    body = "" if isinstance(data, CardChanged) else encode_body(data)
    return said.id, data.topic, lane_of(lead_id), lead_id, said.seq, data.type, attributes, body


async def read(
    connection: Connection, speaker: str, after: Mapping[int, int], since: datetime, per_lane: int
) -> list[Stored]:
    """The next events of the given lanes, `after` their positions, in order per lane; at most `per_lane` of each.

    `since` is a moment before which nothing unread was recorded; it only spares the reader old days.
    """
    rows = await connection.fetch(
        f"""SELECT l.* FROM unnest($1::smallint[], $2::bigint[]) AS c(lane, pos) CROSS JOIN LATERAL (
                SELECT lane, pos, event_id, topic, lead_id, seq, type, attributes, body FROM bus.{speaker}_log
                WHERE lane = c.lane AND pos > c.pos AND event_id >= $3 ORDER BY pos LIMIT $4) l""",
        list(after.keys()),
        list(after.values()),
        uuid7_at(max(since, EPOCH + LOOK_BACK) - LOOK_BACK),
        per_lane,
    )
    return [event_in(row, (speaker, row["lane"], row["pos"])) for row in rows]


def event_in(row: asyncpg.Record, place: tuple[str, int, int]) -> Stored:
    """The event that a row of a table keeps in columns named as the fields of `Stored`."""
    return Stored(place, *(row[name] for name in Stored.__struct_fields__[1:]))


async def with_cards(connection: Connection, stored: Sequence[Stored]) -> list[Stored]:
    """The same events with each card as it is now: a newer version than the row told of, or its tombstone."""
    wanted = {event.lead_id for event in stored if event.type == CardChanged.type}
    if not wanted:
        return list(stored)
    rows = await connection.fetch(
        "SELECT lead_id, version, body, erasure_id FROM bus.card WHERE lead_id = ANY($1)", list(wanted)
    )
    cards = {row["lead_id"]: row for row in rows}
    return [_with_card(event, cards) if event.type == CardChanged.type else event for event in stored]


def _with_card(event: Stored, cards: Mapping[UUID, asyncpg.Record]) -> Stored:
    card = cards[event.lead_id]
    gone = card["body"] is None
    body = encode_body(CardErased(erasure_id=str(card["erasure_id"]))) if gone else card["body"]
    return msgspec.structs.replace(event, seq=card["version"], type=CardErased.type if gone else event.type, body=body)


async def present(connection: Connection, speakers: Sequence[str]) -> list[str]:
    """Those of the speakers whose log is in this database."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) name WHERE to_regclass('bus.' || name || '_pos') IS NOT NULL", speakers
    )
    there = {row["name"] for row in rows}
    return [speaker for speaker in speakers if speaker in there]


async def head(connection: Connection, speakers: Iterable[str]) -> dict[str, int]:
    """The last position given out in each speaker's log; rows up to it may still be uncommitted."""
    names = list(speakers)
    if not names:
        return {}
    # A sequence that was never asked has its first value as its last.
    columns = ", ".join(f"(SELECT last_value - (NOT is_called)::int FROM bus.{name}_pos) AS {name}" for name in names)
    row = await connection.fetchrow(f"SELECT {columns}")
    assert row is not None
    return {name: row[name] for name in names}


async def ensure_days(connection: Connection, speaker: str, today: date) -> None:
    """Make the day partitions from yesterday to the day after tomorrow; safe to run at any time and by many."""
    await connection.execute("SELECT pg_advisory_xact_lock(7799)")
    for offset in range(-1, DAYS_AHEAD):
        day = today + timedelta(days=offset)
        name = f"{speaker}_log_{day:%Y%m%d}"
        if await connection.fetchval("SELECT to_regclass($1)", f"bus.{name}") is not None:
            continue
        start, end = uuid7_at(_midnight(day)), uuid7_at(_midnight(day + timedelta(days=1)))
        await connection.execute(
            f"CREATE TABLE bus.{name} PARTITION OF bus.{speaker}_log FOR VALUES FROM ('{start}') TO ('{end}')"
        )
        await connection.execute(f"CREATE UNIQUE INDEX ON bus.{name} (lane, pos)")
        # A forgotten row lock shows here as an error instead of as two events with one number.
        await connection.execute(f"CREATE UNIQUE INDEX ON bus.{name} (topic, lead_id, seq) WHERE seq > 0")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


ALL_LANES = tuple(range(LANES))
