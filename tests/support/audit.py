"""What must hold in an installation's database, whatever happened to its processes, and in words what does not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from uuid import UUID

import asyncpg

from services.handover.offering import TAKEN
from shared.events.codec import Stored, decode
from shared.events.stage import StageChanged
from shared.events.topics import SERVICES, Topic
from shared.service import Service

_NUMBERED = "seq > 0 AND topic NOT IN ('leads.card', 'leads.market', 'leads.privacy')"
_ALL_LOGS = " UNION ALL ".join(f"SELECT * FROM bus.{name}_log" for name in SERVICES)


@dataclass
class Audit:
    """`lives` are the stage events of each lead in their order, `last` the last number of each lead on each topic."""

    wrong: list[str] = field(default_factory=list[str])
    lives: dict[UUID, list[StageChanged]] = field(default_factory=dict[UUID, list[StageChanged]])
    last: dict[str, dict[UUID, int]] = field(default_factory=dict[str, dict[UUID, int]])

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)


async def audit(dsn: str, acknowledged: Sequence[UUID]) -> Audit:
    """Compare the leads that were acknowledged, all logs, and what each service knows."""
    found = Audit()
    connection = await asyncpg.connect(dsn)
    try:
        await _leads(connection, found, acknowledged)
        await _logs(connection, found)
        for name in SERVICES:
            await _standings(connection, found, name)
        await _scores(connection, found)
        await _insights(connection, found)
        await _mails(connection, found)
        await _offers(connection, found)
    finally:
        await connection.close()
    return found


async def heard_everything(dsn: str) -> bool:
    """Whether every service has heard the last event of each lead on each topic it hears, and holds none back."""
    found = Audit()
    connection = await asyncpg.connect(dsn)
    try:
        await _logs(connection, found)
        for name in SERVICES:
            await _standings(connection, found, name)
    finally:
        await connection.close()
    return not found.wrong


async def _leads(connection: asyncpg.Connection[asyncpg.Record], found: Audit, acknowledged: Sequence[UUID]) -> None:
    there = {row["lead_id"] for row in await connection.fetch("SELECT lead_id FROM capture.lead")}
    found.expect(len(set(acknowledged)) == len(acknowledged), "two acknowledgements name one lead")
    found.expect(not set(acknowledged) - there, f"{len(set(acknowledged) - there)} acknowledged leads are not there")
    found.expect(not there - set(acknowledged), f"{len(there - set(acknowledged))} leads nobody was told of")


async def _logs(connection: asyncpg.Connection[asyncpg.Record], found: Audit) -> None:
    rows = await connection.fetch(
        f"""SELECT topic, lead_id, count(*) AS many, count(DISTINCT seq) AS numbers, max(seq) AS last
            FROM ({_ALL_LOGS}) l WHERE {_NUMBERED} GROUP BY 1, 2"""
    )
    last: dict[str, dict[UUID, int]] = defaultdict(dict)
    for row in rows:
        last[row["topic"]][row["lead_id"]] = row["last"]
        whole = row["many"] == row["numbers"] == row["last"]
        found.expect(whole, f"{row['topic']} of {row['lead_id']} is not numbered 1, 2, 3 ...")
    found.last = dict(last)
    moves = await connection.fetch(f"SELECT * FROM ({_ALL_LOGS}) l WHERE topic = 'leads.stage' ORDER BY lead_id, seq")
    lives: dict[UUID, list[StageChanged]] = defaultdict(list)
    for row in moves:
        data = decode(stored_of(row)).data
        assert isinstance(data, StageChanged)
        before = lives[row["lead_id"]]
        found.expect(not before or before[-1].to == data.from_, f"the stages of {row['lead_id']} do not join")
        before.append(data)
    found.lives = dict(lives)


def stored_of(row: asyncpg.Record) -> Stored:
    fields = ("event_id", "topic", "lead_id", "seq", "type", "attributes", "body")
    return Stored(place=("", row["lane"], row["pos"]), **{name: row[name] for name in fields})


async def _standings(connection: asyncpg.Connection[asyncpg.Record], found: Audit, name: str) -> None:
    service: Service[object] = import_module(f"services.{name}.app").service
    heard = {event.topic for event in service.consumes}
    rows = {row["lead_id"]: row for row in await connection.fetch(f"SELECT * FROM {name}.standing")}
    for lead_id, moves in found.lives.items():
        row = rows.get(lead_id)
        if row is None:
            found.wrong.append(f"{name} has never heard of {lead_id}")
            continue
        copy, truth = (row["stage"], row["stage_seq"]), (moves[-1].to, len(moves))
        found.expect(copy == truth, f"{name} has {lead_id} in {copy}, which is in {truth}")
        for topic in heard - {Topic.STAGE, Topic.CARD, Topic.PRIVACY, Topic.MARKET}:
            last = found.last.get(topic, {}).get(lead_id, 0)
            found.expect(
                row[f"{topic.word}_seq"] == last, f"{name} has heard {topic} of {lead_id} not up to its {last}"
            )
    for table in ("held", "undecodable"):
        many = await connection.fetchval(f"SELECT count(*) FROM {name}.{table}")
        found.expect(not many, f"{name} has {many} rows in {table}")


async def _scores(connection: asyncpg.Connection[asyncpg.Record], found: Audit) -> None:
    """Whoever keeps a lead's score has the one that scoring said last."""
    told = await connection.fetch(
        """SELECT DISTINCT ON (lead_id) * FROM bus.scoring_log WHERE topic = 'leads.score' ORDER BY lead_id, seq DESC"""
    )
    last = {row["lead_id"]: json.loads(row["body"])["score"] for row in told}
    for table in ("nurture.person", "handover.lead", "insights.lead"):
        copies = {row["lead_id"]: row["score"] for row in await connection.fetch(f"SELECT lead_id, score FROM {table}")}
        others = [lead_id for lead_id, score in last.items() if copies.get(lead_id) != score]
        found.expect(not others, f"{table} has another score than scoring said of {len(others)} leads")


async def _insights(connection: asyncpg.Connection[asyncpg.Record], found: Audit) -> None:
    """Every event of the types that timelines show is in its lead's timeline, once."""
    shown = await connection.fetch("SELECT lead_id, event_id FROM insights.timeline")
    told = await connection.fetch(
        f"""SELECT lead_id, event_id FROM ({_ALL_LOGS}) l
            WHERE split_part(type, '.', 3) || '.' || split_part(type, '.', 4) IN
                ('stage.changed', 'activity.recorded', 'nurture.enrolled', 'nurture.sent', 'handover.offered')"""
    )
    rows = Counter((row["lead_id"], row["event_id"]) for row in shown)
    events = {(row["lead_id"], row["event_id"]) for row in told}
    found.expect(set(rows.values()) <= {1}, "an event is in a timeline twice")
    found.expect(not events - rows.keys(), f"{len(events - rows.keys())} events are in no timeline")
    flow = await connection.fetchval("SELECT count(*) FROM insights.flow")
    found.expect(flow == sum(map(len, found.lives.values())), "the flow is not what the stage events are")


async def _mails(connection: asyncpg.Connection[asyncpg.Record], found: Audit) -> None:
    rows = await connection.fetch(
        f"""SELECT lead_id, count(*) AS said FROM ({_ALL_LOGS}) l
            WHERE type LIKE 'io.leadline.nurture.sent.%' GROUP BY 1"""
    )
    sent = await connection.fetch("SELECT lead_id, count(*) AS sent FROM nurture.touch WHERE state = 'sent' GROUP BY 1")
    said = {row["lead_id"]: row["said"] for row in rows}
    found.expect(said == {row["lead_id"]: row["sent"] for row in sent}, "touches that were sent are not what was said")


async def _offers(connection: asyncpg.Connection[asyncpg.Record], found: Audit) -> None:
    twice = await connection.fetch(
        "SELECT lead_id FROM handover.offer WHERE state = 'open' GROUP BY 1 HAVING count(*) > 1"
    )
    found.expect(not twice, f"{len(twice)} leads are on offer to two reps")
    offers = await connection.fetchval("SELECT count(*) FROM handover.offer")
    said = await connection.fetchval(
        "SELECT count(*) FROM bus.handover_log WHERE type LIKE 'io.leadline.handover.offered.%'"
    )
    found.expect(offers == said, f"{offers} offers, {said} said")
    # Who took a lead knows of it.
    asked = await connection.fetchval("SELECT count(*) FROM handover.offer WHERE route <> $1", TAKEN)
    mails = await connection.fetchval("SELECT count(*) FROM handover.mail")
    found.expect(asked == mails, f"{asked} reps were asked, {mails} mails about it")
