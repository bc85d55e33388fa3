"""What a service does with the events it hears: each once, in order, and a bad one holds up only its own lead.

A carrier brings a batch; one transaction applies it. An event is applied when it is the next of its topic for its
lead, dropped when it was applied before, and kept in the service's `held` table when it came too early or failed.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import structlog

from shared import metrics
from shared.database import is_transient
from shared.events.capture import CardChanged, CardErased
from shared.events.codec import Stored, Undecodable, decode
from shared.events.envelope import Envelope, Event
from shared.events.stage import StageChanged
from shared.events.topics import Topic
from shared.leads import Cause, Lead, Leads, Recall, Work
from shared.lifecycle import adopt

if TYPE_CHECKING:
    from shared.database import Connection

S = TypeVar("S")
Handler = Callable[[Lead[S], Envelope[Any], datetime], None]
Seal = Callable[["Connection"], Awaitable[None]]

logger = structlog.get_logger("consumer")


@dataclasses.dataclass(slots=True)
class _Waiting:
    """An event on its way to a lead; `reason` says why it waits. `kept`: it lies in the held table already.

    One that failed is tried again only when somebody asked for it (`again`).
    """

    event: Envelope[Event]
    stored: Stored
    reason: str = ""
    detail: str = ""
    kept: bool = False
    again: bool = False


@dataclasses.dataclass(slots=True)
class Outcome:
    applied: int = 0
    repeated: int = 0
    held: int = 0
    of_erased: int = 0


class Consumer(Generic[S]):
    """Applies batches of stored events to a service's leads."""

    def __init__(self, leads: Leads[S], handlers: Mapping[type[Event], Handler[S]]) -> None:
        self.leads = leads
        self.handlers = handlers
        self.topics = frozenset(event.topic for event in handlers)
        self._needs_card = CardChanged in handlers
        self._born: datetime | None = None

    async def take(self, stored: Sequence[Stored], seal: Seal | None = None) -> None:
        """Apply a batch. `seal` runs last in the transaction that completes it, e.g. to move a cursor.

        A batch that fails is halved until what fails stands alone and is held with its reason; all else goes on.
        Transient failures are raised: the caller waits and brings the batch again.
        """
        try:
            await self._apply(stored, seal)
        except Exception as error:
            if is_transient(error) or isinstance(error, Unsealed):
                raise
            await self._split(stored, error)
            if seal is not None:
                async with self.leads.database.transaction() as connection:
                    await seal(connection)

    async def _split(self, stored: Sequence[Stored], error: Exception) -> None:
        if len(stored) == 1:
            logger.error("event_held", topic=stored[0].topic, lead=str(stored[0].lead_id), error=type(error).__name__)
            await self._apply(stored, None, failed=_why(error))
            return
        middle = len(stored) // 2
        for half in (stored[:middle], stored[middle:]):
            await self.take(half)

    async def _apply(self, stored: Sequence[Stored], seal: Seal | None, failed: str = "") -> None:
        incoming, unreadable = self._decoded(stored)
        outcome = Outcome()
        async with self.leads.database.transaction() as connection:
            if self._born is None:
                self._born = await connection.fetchval(f"SELECT at FROM {self.leads.service}.born")
            await self._keep_unreadable(connection, unreadable)
            now = self.leads.clock.now()
            work = await self.leads.open(connection, incoming.keys(), Cause(time=now), now, create=True)
            before = await self._held(work)
            for lead_id in list(work.leads):
                queue = before.get(lead_id, []) + incoming[lead_id]
                if failed:
                    incoming[lead_id][-1].reason, incoming[lead_id][-1].detail = "failed", failed
                rest = await self._fold(work, lead_id, queue, outcome)
                await self._keep(work, lead_id, before.get(lead_id, []), rest)
                outcome.held += len(rest)
            await self.leads.save(work)
            if seal is not None:
                await seal(connection)
        self._observe(incoming, outcome, now)

    def _decoded(self, stored: Sequence[Stored]) -> tuple[dict[UUID, list[_Waiting]], list[tuple[Stored, str]]]:
        incoming: dict[UUID, list[_Waiting]] = defaultdict(list)
        unreadable: list[tuple[Stored, str]] = []
        for event in stored:
            if event.topic not in self.topics:
                continue
            try:
                incoming[event.lead_id].append(_Waiting(decode(event), event))
            except Undecodable as error:
                unreadable.append((event, str(error)))
        return incoming, unreadable

    async def _fold(self, work: Work[S], lead_id: UUID, queue: list[_Waiting], outcome: Outcome) -> list[_Waiting]:
        """Apply what can be applied, cards first, and answer what has to wait."""
        stopped: set[UUID] = set()
        recall = False
        while True:
            try:
                return self._pass(work.leads[lead_id], queue, stopped, work.now, outcome)
            except Recall:
                if recall:
                    raise
                recall = True
                await self.leads.reload(work, lead_id, Cause(time=work.now), recall=True)
            except _HandlerFailed as failure:
                # Handlers only change memory: begin the lead anew and stop before the event that failed.
                logger.error("event_held", lead=str(lead_id), error=failure.waiting.detail, exc_info=failure.__cause__)
                stopped.add(failure.waiting.event.id)
                await self.leads.reload(work, lead_id, Cause(time=work.now), recall=recall)

    def _pass(
        self, lead: Lead[S], queue: Sequence[_Waiting], stopped: set[UUID], now: datetime, outcome: Outcome
    ) -> list[_Waiting]:
        counts = Outcome()
        lead.standing.blocked = False
        waiting = sorted(queue, key=lambda item: item.event.topic is not Topic.CARD)
        moved = True
        while moved and waiting:
            moved, rest = False, list[_Waiting]()
            for item in waiting:
                if item.event.id in stopped or (item.reason == "failed" and not item.again):
                    lead.standing.blocked = True
                    item.reason = item.reason or "failed"
                    rest.append(item)
                elif self._take_one(lead, item, now, counts):
                    moved = True
                else:
                    rest.append(item)
            waiting = rest
        outcome.applied += counts.applied
        outcome.repeated += counts.repeated
        outcome.of_erased += counts.of_erased
        return waiting

    def _take_one(self, lead: Lead[S], item: _Waiting, now: datetime, counts: Outcome) -> bool:
        """Whether the event is done with: applied now or before. Otherwise `item.reason` says why it waits."""
        event, standing = item.event, lead.standing
        if standing.erased and event.topic is not Topic.PRIVACY:
            counts.of_erased += 1
            return True
        verdict = self._verdict(lead, event)
        if verdict == "repeat":
            counts.repeated += 1
            return True
        if verdict != "apply":
            item.reason = verdict
            return False
        lead.begin(Cause.of(event, now), now)
        lead.adopt(event)
        if isinstance(event.data, CardErased):
            lead.erasing = event.data.erasure_id
            standing.card_version = event.seq
            standing.erased = True
        else:
            handler = self.handlers.get(type(event.data))
            if handler is not None:
                try:
                    handler(lead, event, now)
                except Recall:
                    raise
                except Exception as error:  # a wrong rule or a bug must stop this lead only
                    item.reason, item.detail = "failed", _why(error)
                    raise _HandlerFailed(item) from error
        counts.applied += 1
        return True

    def _verdict(self, lead: Lead[S], event: Envelope[Event]) -> str:
        """`apply`, `repeat`, or why the event must wait: `behind` a failed one, `gap`, or for the `card`."""
        standing = lead.standing
        if event.topic is Topic.CARD:
            return "apply" if event.seq > standing.card_version else "repeat"
        if standing.blocked:
            return "behind"
        if event.topic in (Topic.PRIVACY, Topic.MARKET):
            return "apply"
        last = standing.stage_seq if isinstance(event.data, StageChanged) else standing.heard[event.topic]
        verdict = adopt(last, event.seq)
        if verdict == "gap" and last == 0 and self._born and event.attributes.recordedtime < self._born:
            verdict = "apply"
        if verdict == "apply" and self._needs_card and event.attributes.cardversion > standing.card_version:
            return "card"
        return verdict

    async def _held(self, work: Work[S]) -> dict[UUID, list[_Waiting]]:
        ids = [lead_id for lead_id, lead in work.leads.items() if lead.standing.held]
        if not ids:
            return {}
        rows = await work.connection.fetch(
            f"SELECT * FROM {self.leads.service}.held WHERE lead_id = ANY($1) ORDER BY number", ids
        )
        held: dict[UUID, list[_Waiting]] = defaultdict(list)
        for row in rows:
            stored = Stored(
                place=("held", 0, row["number"]),
                event_id=row["event_id"],
                topic=row["topic"],
                lead_id=row["lead_id"],
                seq=row["seq"],
                type=row["type"],
                attributes=row["attributes"],
                body=row["body"],
            )
            again = row["retry_at"] is not None and row["retry_at"] <= work.now
            held[row["lead_id"]].append(
                _Waiting(decode(stored), stored, row["reason"], row["detail"], kept=True, again=again)
            )
        return held

    async def _keep(self, work: Work[S], lead_id: UUID, before: list[_Waiting], rest: list[_Waiting]) -> None:
        """Make the held table of this lead say exactly what still waits."""
        lead = work.leads[lead_id]
        lead.standing.held = bool(rest)
        if before:
            keep = [item.event.id for item in rest]
            await work.connection.execute(
                f"DELETE FROM {self.leads.service}.held WHERE lead_id = $1 AND event_id <> ALL($2)", lead_id, keep
            )
        new = [item for item in rest if item.again or not item.kept]
        if not new:
            return
        await work.connection.executemany(
            f"""INSERT INTO {self.leads.service}.held AS h
                    (lead_id, topic, seq, event_id, type, attributes, body, reason, detail, attempts, held_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                ON CONFLICT (lead_id, topic, seq) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
                    attempts = h.attempts + excluded.attempts, retry_at = NULL""",
            [
                (
                    lead_id, item.event.topic, item.event.seq, item.event.id, item.stored.type,
                    item.stored.attributes, item.stored.body, item.reason, item.detail,
                    int(item.reason == "failed"), work.now,
                )
                for item in new
            ],
        )  # fmt: skip

    async def _keep_unreadable(self, connection: Connection, unreadable: Sequence[tuple[Stored, str]]) -> None:
        for event, reason in unreadable:
            await keep_unreadable(
                connection, self.leads.service, event.topic, event.place[1:], reason, event.attributes,
                event.body.encode(), self.leads.clock.now(),
            )  # fmt: skip

    async def retry_due(self) -> int:
        """Take up the leads whose held events somebody asked to try again; answers how many leads."""
        async with self.leads.database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT DISTINCT lead_id FROM {self.leads.service}.held WHERE retry_at <= $1 LIMIT 100",
                self.leads.clock.now(),
            )
        for row in rows:
            await self._retry(row["lead_id"])
        return len(rows)

    async def _retry(self, lead_id: UUID) -> None:
        async with self.leads.database.transaction() as connection:
            now = self.leads.clock.now()
            work = await self.leads.open(connection, [lead_id], Cause(time=now), now, create=False)
            before = (await self._held(work)).get(lead_id, [])
            rest = await self._fold(work, lead_id, list(before), Outcome())
            await self._keep(work, lead_id, before, rest)
            await self.leads.save(work)

    def _observe(self, incoming: Mapping[UUID, Sequence[_Waiting]], outcome: Outcome, now: datetime) -> None:
        service = self.leads.service
        metrics.CONSUMER_APPLIED.labels(service).inc(outcome.applied)
        metrics.CONSUMER_REDELIVERED.labels(service).inc(outcome.repeated)
        for items in incoming.values():
            for item in items:
                if not item.event.history:
                    age = (now - item.event.attributes.recordedtime).total_seconds()
                    metrics.HEARD_SECONDS.labels(service, item.event.topic).observe(max(age, 0.0))


class Unsealed(Exception):
    """The position was moved by another worker: the batch is its business now."""


class _HandlerFailed(Exception):
    def __init__(self, waiting: _Waiting) -> None:
        super().__init__(waiting.detail)
        self.waiting = waiting


def _why(error: Exception) -> str:
    """The kind of error and where, without its message: a message may quote personal data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_code.co_name} line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


async def keep_unreadable(
    connection: Connection,
    service: str,
    topic: str,
    place: tuple[int, int],
    reason: str,
    headers: str,
    body: bytes | None,
    now: datetime,
) -> None:
    """Keep bytes that are no event, by where they lay; the same bytes brought again are kept once."""
    await connection.execute(
        f"""INSERT INTO {service}.undecodable (topic, place, pos, reason, headers, body, kept_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
        topic, *place, reason, headers, body, now,
    )  # fmt: skip
