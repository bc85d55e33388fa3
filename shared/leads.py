"""A service's leads, and work on some of them: lock, load, decide in memory, save, and say what happened last.

Events, commands of the API and timers all go through `Leads.work`, so one order of steps holds for all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from shared import lifecycle, log
from shared.clock import Clock, uuid7
from shared.errors import NotFound
from shared.events.capture import CardChanged, CardErased
from shared.events.envelope import Actor, Attributes, Envelope, Event
from shared.events.privacy import ErasureDone
from shared.events.stage import StageChanged, TopReason
from shared.events.topics import COUNTED, SPEAKERS, Topic, lane_of
from shared.lifecycle import Stage

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection, Database

S = TypeVar("S")


@dataclasses.dataclass(slots=True)
class Standing:
    """What a service knows of a lead for certain.

    The fields are the columns of its table. Those that end in `_seq` are the last numbers heard, `said_seq` is the last
    on the service's own topic. `held`: events wait for it.
    """

    lead_id: UUID
    stage: Stage | None = None
    cycle: int = 0
    stage_seq: int = 0
    stage_before: Stage | None = None
    card_version: int = 0
    activity_seq: int = 0
    score_seq: int = 0
    nurture_seq: int = 0
    handover_seq: int = 0
    said_seq: int = 0
    site: str = ""
    product: str = ""
    test: bool = False
    erased: bool = False
    held: bool = False

    def last_of(self, topic: Topic) -> int:
        """The last number heard on a topic whose events are numbered."""
        last: int = getattr(self, _SEQ_OF[topic])
        return last


_KINDS = {"UUID": "uuid", "int": "bigint", "str": "text", "bool": "bool", "Stage | None": "text"}
_COLUMNS = {field.name: _KINDS[str(field.type)] for field in dataclasses.fields(Standing)}
_row = attrgetter(*_COLUMNS)
_SEQ_OF = {topic: f"{topic.word}_seq" for topic in (*COUNTED, Topic.STAGE)}


@dataclasses.dataclass(slots=True)
class Cause:
    """What makes a service act on a lead: the event, the command or the timer behind it."""

    time: datetime
    history: bool = False
    trace: str = ""
    event_id: str = ""
    actor: Actor = dataclasses.field(default_factory=lambda: Actor("service"))

    @staticmethod
    def of(envelope: Envelope[Event], now: datetime) -> Cause:
        """What history brings about happened in history; what is caused now happens now."""
        attributes = envelope.attributes
        return Cause(
            time=attributes.time if attributes.history else now,
            history=attributes.history,
            trace=attributes.traceparent,
            event_id=str(envelope.id),
        )


class Told(TypedDict, total=False):
    """What may be told of a move beside its reason; fields of `StageChanged`."""

    rule: str
    rule_version: int
    score: float | None
    temperature: str
    top_reasons: list[TopReason]
    asked_for: str
    value: str
    currency: str


class Lead(Generic[S]):
    """One lead in a piece of work: `state` is the service's own, all else is plumbing. Changes are kept in memory."""

    def __init__(
        self, leads: Leads[S], standing: Standing, state: S, cause: Cause, now: datetime, *, whole: bool = False
    ) -> None:
        self.standing = standing
        # As its row was when it was loaded; a new lead has none.
        self.standing_before: tuple[object, ...] = ()
        self.state = state
        self.cause = cause
        self.timers: dict[str, datetime] = {}
        self.timers_before: dict[str, datetime] = {}
        self.saying: list[Envelope[Event]] = []
        self.erasing: str | None = None
        # Set by a handler that keeps something of an erased lead nonetheless, such as who has forgotten it.
        self.outliving = False
        # One of its events failed, so everything behind it waits.
        self.blocked = False
        # It was loaded with all that the repository can recall.
        self.whole = whole
        self._leads = leads
        self._now = now

    @property
    def lead_id(self) -> UUID:
        return self.standing.lead_id

    @property
    def mine(self) -> bool:
        """Whether this service owns the lead's stage and may move it."""
        standing = self.standing
        return lifecycle.owner(standing.stage, standing.stage_before) == self._leads.service

    def begin(self, cause: Cause, now: datetime) -> None:
        """What follows is said because of `cause`, recorded `now`."""
        self.cause = cause
        self._now = now

    def say(self, data: Event, *, time: datetime | None = None) -> Envelope[Event]:
        """Say a fact of this lead; it is appended to the log as the work ends."""
        if type(data) not in self._leads.publishes:
            raise TypeError(f"{self._leads.service} does not say {type(data).__name__}: declare it in `publishes`")
        standing = self.standing
        cause = self.cause
        envelope = Envelope(
            id=uuid7(),
            lead_id=self.lead_id,
            seq=self._number(data),
            attributes=Attributes(
                source=f"/leadline/{self._leads.service}",
                time=time or cause.time,
                recordedtime=self._now,
                site=standing.site,
                product=standing.product,
                test=standing.test,
                history=cause.history,
                actorkind=cause.actor.kind,
                actorid=cause.actor.id,
                cardversion=standing.card_version,
                traceparent=cause.trace,
                causationid=data.erasure_id if isinstance(data, CardErased) else cause.event_id,
            ),
            data=data,
        )
        self.saying.append(envelope)
        return envelope

    def _number(self, data: Event) -> int:
        topic = type(data).topic
        if topic is Topic.CARD:
            return self.standing.card_version
        if topic is Topic.STAGE:
            return self.standing.stage_seq
        if topic is not self._leads.own_topic:
            return 0
        self.standing.said_seq += 1
        return self.standing.said_seq

    def move(self, to: Stage, reason: str, *, time: datetime | None = None, **told: Unpack[Told]) -> None:
        """Move the lead on, through the stage between where the graph asks for one, and say so.

        Raises `lifecycle.NotOwner` and `lifecycle.IllegalMove`.
        """
        standing = self.standing
        stage, before = standing.stage, standing.stage_before
        for step in lifecycle.walk(stage, standing.cycle, to, reason, self._leads.service, before=before):
            standing.stage_before, standing.stage = standing.stage, step.to
            standing.cycle = step.cycle
            standing.stage_seq += 1
            changed = StageChanged(
                from_=step.frm,
                to=step.to,
                seq=standing.stage_seq,
                cycle=step.cycle,
                reason=step.reason,
                actor=self.cause.actor,
                product=standing.product,
                **told,
            )
            self.say(changed, time=time)

    def adopt(self, event: Envelope[Event]) -> None:
        """Take over what an event says of the lead's standing: its number, the stage, the card's version."""
        standing, data = self.standing, event.data
        if isinstance(data, StageChanged):
            standing.stage_before, standing.stage = standing.stage, Stage(data.to)
            standing.cycle, standing.stage_seq = data.cycle, event.seq
        elif isinstance(data, CardChanged):
            standing.card_version = event.seq
        elif event.topic in _SEQ_OF:
            setattr(standing, _SEQ_OF[event.topic], event.seq)
        attributes = event.attributes
        standing.site = attributes.site or standing.site
        standing.product = attributes.product or standing.product
        standing.test = attributes.test or standing.test


class Recall(Exception):
    """Raised by a handler that needs more of its lead than `load` brings: it is begun anew, whole."""


class Repository(Protocol[S]):
    """How a service's own part of a lead is loaded and kept; each method is a fixed number of statements.

    One whose handlers raise `Recall` has a method `recall` too: as `load`, with what is needed so seldom that no batch
    should carry it.
    """

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, S]:
        """The state of each lead, a fresh one for those not known yet. The leads are locked already."""
        ...

    async def save(self, connection: Connection, leads: Sequence[Lead[S]]) -> None: ...

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        """Remove all that is held of these leads; answers how many rows went, by lead and table."""
        ...


@dataclasses.dataclass(slots=True)
class Work(Generic[S]):
    """Some leads, locked and loaded, in an open transaction."""

    connection: Connection
    now: datetime
    leads: dict[UUID, Lead[S]]

    def lead(self, lead_id: UUID) -> Lead[S]:
        """Raises `NotFound` when this service does not know the lead, or has erased it."""
        lead = self.leads.get(lead_id)
        if lead is None or lead.standing.erased:
            raise NotFound("no such lead")
        return lead


class Leads(Generic[S]):
    """The leads of one service."""

    kind: ClassVar[type[Lead[Any]]] = Lead

    def __init__(
        self,
        service: str,
        database: Database,
        repository: Repository[S],
        clock: Clock,
        publishes: frozenset[type[Event]],
    ) -> None:
        self.service = service
        self.publishes = publishes | {ErasureDone}
        self.database = database
        self.repository = repository
        self.clock = clock
        own = [topic for topic in COUNTED if SPEAKERS[topic] == frozenset({service})]
        self.own_topic = own[0] if own else None

    @asynccontextmanager
    async def work(
        self, lead_ids: Iterable[UUID], *, cause: Cause | None = None, create: bool = False
    ) -> AsyncGenerator[Work[S]]:
        """One transaction on these leads: they are locked in order, loaded, and saved when the block ends well.

        Unknown leads are left out, or with `create` begun.
        """
        async with self.database.transaction() as connection:
            now = self.clock.now()
            work = await self.open(connection, lead_ids, cause or Cause(time=now), now, create=create)
            yield work
            await self.save(work)

    async def open(
        self,
        connection: Connection,
        lead_ids: Iterable[UUID],
        cause: Cause,
        now: datetime,
        *,
        create: bool,
        fresh: Mapping[UUID, S] | None = None,
    ) -> Work[S]:
        """Lock and load these leads. `fresh` are new ones with their state: nobody else can know their ids yet."""
        wanted = sorted(set(lead_ids))
        new = {lead_id: Lead(self, Standing(lead_id), state, cause, now) for lead_id, state in (fresh or {}).items()}
        work = Work(connection, now, new)
        if standings := await self._lock(connection, wanted, create=create):
            await self._load(work, standings, cause)
        return work

    async def reload(self, work: Work[S], lead_id: UUID) -> None:
        """Begin this lead anew, and have it whole: nothing of it is saved before the work ends."""
        standings = await self._lock(work.connection, [lead_id])
        await self._load(work, standings, work.leads[lead_id].cause, whole=True)

    async def _lock(
        self, connection: Connection, lead_ids: Sequence[UUID], *, create: bool = False
    ) -> list[asyncpg.Record]:
        """The standings of these leads, which must be sorted, locked; with `create` also of those that had none."""
        if not lead_ids:
            return []
        standings = await connection.fetch(
            f"""SELECT {", ".join(_COLUMNS)} FROM {self.service}.standing
                WHERE lead_id = ANY($1) ORDER BY lead_id FOR UPDATE""",
            lead_ids,
        )
        if not create or len(standings) == len(lead_ids):
            return standings
        known = {row["lead_id"] for row in standings}
        unknown = [lead_id for lead_id in lead_ids if lead_id not in known]
        await connection.execute(
            f"INSERT INTO {self.service}.standing (lead_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", unknown
        )
        # A statement of its own after the insert: rows another transaction has just committed are seen and locked.
        return standings + await self._lock(connection, unknown)

    async def _load(
        self, work: Work[S], standings: Sequence[asyncpg.Record], cause: Cause, *, whole: bool = False
    ) -> None:
        known = [row["lead_id"] for row in standings]
        load = getattr(self.repository, "recall", self.repository.load) if whole else self.repository.load
        states = await load(work.connection, known)
        for row in standings:
            lead = self.kind(self, _standing(row), states[row["lead_id"]], cause, work.now, whole=whole)
            lead.standing_before = tuple(row)
            work.leads[lead.lead_id] = lead
        timers = await work.connection.fetch(
            f"SELECT lead_id, name, due_at FROM {self.service}.timer WHERE lead_id = ANY($1)", known
        )
        for row in timers:
            lead = work.leads[row["lead_id"]]
            lead.timers[row["name"]] = lead.timers_before[row["name"]] = row["due_at"]

    async def save(self, work: Work[S]) -> None:
        """Write what changed; the events go last, so that their lanes are locked as shortly as can be."""
        leads = list(work.leads.values())
        await self._erase(work.connection, [lead for lead in leads if lead.erasing is not None])
        living = [lead for lead in leads if not lead.standing.erased or lead.outliving]
        if living:
            await self.repository.save(work.connection, living)
        await self._save_timers(work.connection, leads)
        await self._save_standings(work.connection, leads)
        await log.append(work.connection, self.service, [said for lead in leads for said in lead.saying])

    async def _erase(self, connection: Connection, leads: Sequence[Lead[S]]) -> None:
        if not leads:
            return
        ids = [lead.lead_id for lead in leads]
        removed = await self.repository.erase(connection, ids)
        for table in ("held", "tended"):
            await connection.execute(f"DELETE FROM {self.service}.{table} WHERE lead_id = ANY($1)", ids)
        for lead in leads:
            lead.timers.clear()
            lead.standing.erased, lead.standing.held = True, False
            gone = dict(removed.get(lead.lead_id, {}))
            lead.say(ErasureDone(erasure_id=lead.erasing or "", service=self.service, removed=gone))

    async def _save_timers(self, connection: Connection, leads: Sequence[Lead[S]]) -> None:
        gone = [(lead.lead_id, name) for lead in leads for name in lead.timers_before if name not in lead.timers]
        due = [
            (lead.lead_id, name, lane_of(lead.lead_id), at)
            for lead in leads
            for name, at in lead.timers.items()
            if lead.timers_before.get(name) != at
        ]
        if gone:
            await connection.execute(
                f"""DELETE FROM {self.service}.timer t USING unnest($1::uuid[], $2::text[]) AS g(lead_id, name)
                    WHERE t.lead_id = g.lead_id AND t.name = g.name""",
                *zip(*gone, strict=True),
            )
        if due:
            await connection.execute(
                f"""INSERT INTO {self.service}.timer (lead_id, name, lane, due_at)
                    SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[])
                    ON CONFLICT (lead_id, name) DO UPDATE SET due_at = excluded.due_at""",
                *zip(*due, strict=True),
            )

    async def _save_standings(self, connection: Connection, leads: Sequence[Lead[S]]) -> None:
        """Of new ones and of others: the columns in which one of them is not as its row was, or as a new one begins."""
        rows = [(lead.standing_before, _stored(lead.standing)) for lead in leads]
        if new := [(_BEGINNING, row) for before, row in rows if not before]:
            columns = _changed(new)
            await connection.execute(
                f"INSERT INTO {self.service}.standing ({', '.join(columns)}) SELECT * FROM unnest({_arrays(columns)})",
                *columns.values(),
            )
        if changed := [(before, row) for before, row in rows if before and before != row]:
            columns = _changed(changed)
            news = ", ".join(f"{name} = row.{name}" for name in columns if name != "lead_id")
            await connection.execute(
                f"""UPDATE {self.service}.standing s SET {news}
                    FROM unnest({_arrays(columns)}) AS row({", ".join(columns)}) WHERE s.lead_id = row.lead_id""",
                *columns.values(),
            )


def _changed(pairs: Sequence[tuple[Sequence[object], Sequence[object]]]) -> dict[str, tuple[object, ...]]:
    """By name, the column that says which leads they are and those in which one of them has changed."""
    before, after = (zip(*side, strict=True) for side in zip(*pairs, strict=True))
    columns = zip(_COLUMNS, before, after, strict=True)
    return {name: now for name, was, now in columns if now != was or name == "lead_id"}


def _arrays(names: Iterable[str]) -> str:
    return ", ".join(f"${place}::{_COLUMNS[name]}[]" for place, name in enumerate(names, start=1))


def _stored(standing: Standing) -> tuple[object, ...]:
    row = _row(standing)
    return tuple("" if value is None else value for value in row) if None in row else row


def _standing(row: asyncpg.Record) -> Standing:
    # By place, as they were asked for: this is done for every lead of every batch.
    standing = Standing(*row)
    standing.stage, standing.stage_before = _STAGES[row["stage"]], _STAGES[row["stage_before"]]
    return standing


_STAGES = {"": None, **{str(stage): stage for stage in Stage}}
_BEGINNING = (None, *_stored(Standing(UUID(int=0)))[1:])
