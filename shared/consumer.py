"""What a service does with the events it hears: each once, in order, and a bad one holds up only its own lead.

A carrier brings a batch; one transaction applies it. An event is applied when it is the next of its topic for its
lead, dropped when it was applied before, and kept in the service's `held` table when it came too early or failed.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
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
from shared.log import event_in

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


class Consumer(Generic[S]):
    """Applies batches of stored events to a service's leads."""

    def __init__(self, leads: Leads[S], handlers: Mapping[type[Event], Handler[S]]) -> None:
        self.leads = leads
        self.handlers = handlers
        self.topics = frozenset(event.topic for event in handlers)
        self._needs_card = CardChanged in handlers
        self._born: datetime | None = None
        self._retried_at = 0.0

    async def take(self, stored: Sequence[Stored], seal: Seal | None = None) -> None:
        """Apply a batch. `seal` runs last in the transaction that completes it, e.g. to move a cursor.

        A batch that fails is halved until what fails stands alone and is held with its reason; all else goes on.
        Transient failures are raised: the caller waits and brings the batch again.
        """
        try:
            await self._apply(stored, seal)
        except Exception as error:
            if is_transient(error):
                raise
            if len(stored) > 1:
                middle = len(stored) // 2
                await self.take(stored[:middle])
                await self.take(stored[middle:])
            else:
                first = stored[0]
                logger.error("event_held", topic=first.topic, lead=str(first.lead_id), error=type(error).__name__)
                await self._apply(stored, None, failed=_why(error))
            if seal is not None:
                async with self.leads.database.transaction() as connection:
                    await seal(connection)

    async def _apply(self, stored: Sequence[Stored], seal: Seal | None, failed: str = "") -> None:
        incoming = await self._decoded(stored)
        tally = Counter[str]()
        if failed:
            for items in incoming.values():
                items[-1].reason, items[-1].detail = "failed", failed
        async with self.leads.database.transaction() as connection:
            if self._born is None:
                self._born = await connection.fetchval(f"SELECT at FROM {self.leads.service}.born")
            now = self.leads.clock.now()
            work = await self.leads.open(connection, incoming.keys(), Cause(time=now), now, create=True)
            await self._take_up(work, incoming, tally)
            await self.leads.save(work)
            if seal is not None:
                await seal(connection)
        self._observe(incoming, tally, now)

    async def _decoded(self, stored: Sequence[Stored]) -> dict[UUID, list[_Waiting]]:
        incoming: dict[UUID, list[_Waiting]] = defaultdict(list)
        for event in stored:
            if event.topic not in self.topics:
                continue
            try:
                incoming[event.lead_id].append(_Waiting(decode(event), event))
            except Undecodable as error:
                place = (event.topic, *event.place[1:])
                await self.put_aside(place, str(error), event.attributes, event.body.encode())
        return incoming

    async def _take_up(self, work: Work[S], incoming: Mapping[UUID, Sequence[_Waiting]], tally: Counter[str]) -> None:
        """Apply to each lead what was held for it, then what came in; what cannot be applied yet is held."""
        before = await self._held(work)
        for lead_id in list(work.leads):
            held = before.get(lead_id, [])
            rest = await self._fold(work, lead_id, [*held, *incoming.get(lead_id, ())], tally)
            await self._keep(work, lead_id, held, rest)

    async def _fold(self, work: Work[S], lead_id: UUID, queue: list[_Waiting], tally: Counter[str]) -> list[_Waiting]:
        """Apply what can be applied, cards first, and answer what has to wait."""
        stopped: set[UUID] = set()
        recall = False
        while True:
            try:
                return self._pass(work.leads[lead_id], queue, stopped, work.now, tally)
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
        self, lead: Lead[S], queue: Sequence[_Waiting], stopped: set[UUID], now: datetime, tally: Counter[str]
    ) -> list[_Waiting]:
        counts = Counter[str]()
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
        tally.update(counts)
        return waiting

    def _take_one(self, lead: Lead[S], item: _Waiting, now: datetime, counts: Counter[str]) -> bool:
        """Whether the event is done with: applied now or before. Otherwise `item.reason` says why it waits."""
        event, standing = item.event, lead.standing
        verdict = self._verdict(lead, event)
        if verdict not in ("apply", "repeat"):
            item.reason = verdict
            return False
        counts[verdict] += 1
        if verdict == "repeat":
            return True
        lead.begin(Cause.of(event, now), now)
        lead.adopt(event)
        if isinstance(event.data, CardErased):
            lead.erasing = event.data.erasure_id
            standing.card_version = event.seq
            standing.erased = True
        else:
            try:
                self.handlers.get(type(event.data), _ignore)(lead, event, now)
            except Recall:
                raise
            except Exception as error:  # a wrong rule or a bug must stop this lead only
                item.reason, item.detail = "failed", _why(error)
                raise _HandlerFailed(item) from error
        return True

    def _verdict(self, lead: Lead[S], event: Envelope[Event]) -> str:
        """`apply`, `repeat`, or why the event must wait: `behind` a failed one, `gap`, or for the `card`."""
        standing = lead.standing
        if standing.erased and event.topic is not Topic.PRIVACY:
            return "repeat"
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
            event = event_in(row, ("held", 0, row["number"]))
            again = row["retry_at"] is not None and row["retry_at"] <= work.now
            held[row["lead_id"]].append(
                _Waiting(decode(event), event, row["reason"], row["detail"], kept=True, again=again)
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

    async def put_aside(self, place: tuple[str, int, int], reason: str, headers: str, body: bytes | None) -> None:
        """Keep bytes that are no event, by where they lay; the same bytes brought again are kept once."""
        async with self.leads.database.transaction() as connection:
            await connection.execute(
                f"""INSERT INTO {self.leads.service}.undecodable (topic, place, pos, reason, headers, body, kept_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
                *place, reason, headers, body, self.leads.clock.now(),
            )  # fmt: skip
        metrics.UNDECODABLE.labels(self.leads.service, place[0]).inc()

    async def retry_due(self) -> None:
        """Take up the leads whose held events somebody asked to try again; looks once a second at most."""
        if time.monotonic() - self._retried_at < 1:
            return
        self._retried_at = time.monotonic()
        async with self.leads.database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT DISTINCT lead_id FROM {self.leads.service}.held WHERE retry_at <= $1 LIMIT 100",
                self.leads.clock.now(),
            )
        for row in rows:
            async with self.leads.work([row["lead_id"]]) as work:
                await self._take_up(work, {}, Counter())

    def _observe(self, incoming: Mapping[UUID, Sequence[_Waiting]], tally: Counter[str], now: datetime) -> None:
        service = self.leads.service
        metrics.CONSUMER_APPLIED.labels(service).inc(tally["apply"])
        metrics.CONSUMER_REDELIVERED.labels(service).inc(tally["repeat"])
        for items in incoming.values():
            for item in items:
                if not item.event.history:
                    age = (now - item.event.attributes.recordedtime).total_seconds()
                    metrics.HEARD_SECONDS.labels(service, item.event.topic).observe(max(age, 0.0))


def _ignore(_lead: Lead[Any], _event: Envelope[Event], _now: datetime) -> None:
    """Events without a handler count as heard."""


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
