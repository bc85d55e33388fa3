"""What a service does with the events it hears: each once, in order, and a bad one holds up only its own lead.

A carrier brings a batch; one transaction applies it. An event is applied when it is the next of its topic for its
lead, dropped when it was applied before, and kept in the service's `held` table when it came too early or failed.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import structlog

from shared import metrics
from shared.database import is_transient
from shared.events.capture import CardChanged, CardErased
from shared.events.codec import Stored, Undecodable, decode
from shared.events.envelope import Envelope, Event
from shared.events.topics import Topic
from shared.leads import Cause, Lead, Leads, Recall, Work
from shared.lifecycle import adopt
from shared.log import event_in

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

S = TypeVar("S")
Handler = Callable[[Lead[S], Envelope[Any], datetime], None]
Seal = Callable[["Connection"], Awaitable[None]]

RETRY_SECONDS = 1.0

logger = structlog.get_logger("consumer")


@dataclasses.dataclass(slots=True)
class _Waiting:
    """An event on its way to a lead. `verdict` is `apply` or `repeat` once it is done with, else why it waits.

    `news`: the held table does not say so yet. `skip`: somebody decided that it counts as heard without its effect.
    """

    event: Envelope[Event]
    stored: Stored
    verdict: str = ""
    detail: str = ""
    news: bool = True
    skip: bool = False

    @property
    def waits(self) -> bool:
        return self.verdict not in ("apply", "repeat")


_Queues = Mapping[UUID, Mapping[UUID, _Waiting]]
"""What there is to do for each lead, by event id and in this order."""


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
            if is_transient(error):
                raise
            if len(stored) > 1:
                middle = len(stored) // 2
                await self.take(stored[:middle])
                await self.take(stored[middle:], seal)
            else:
                first = stored[0]
                logger.error("event_held", topic=first.topic, lead=str(first.lead_id), error=type(error).__name__)
                await self._apply(stored, seal, failed=_why(error))

    async def _apply(self, stored: Sequence[Stored], seal: Seal | None, failed: str = "") -> None:
        incoming = await self._decoded(stored)
        for item in incoming if failed else ():
            item.verdict, item.detail = "failed", failed
        async with self.leads.database.transaction() as connection:
            if self._born is None:
                self._born = await connection.fetchval(f"SELECT at FROM {self.leads.service}.born")
            now = self.leads.clock.now()
            wanted = {item.event.lead_id for item in incoming}
            work = await self.leads.open(connection, wanted, Cause(time=now), now, create=True)
            queues = await self._queues(work, incoming)
            for lead_id, queue in queues.items():
                await self._fold(work, lead_id, queue.values())
            await self._keep(work, queues)
            await self.leads.save(work)
            if seal is not None:
                await seal(connection)
        self._observe(queues, now)

    async def _decoded(self, stored: Sequence[Stored]) -> list[_Waiting]:
        incoming: list[_Waiting] = []
        for event in stored:
            if event.topic not in self.topics:
                continue
            try:
                incoming.append(_Waiting(decode(event), event))
            except Undecodable as error:
                place = (event.topic, *event.place[1:])
                await self.put_aside(place, str(error), event.attributes, event.body.encode())
        return incoming

    async def _queues(self, work: Work[S], incoming: Sequence[_Waiting]) -> _Queues:
        """For each lead what was held for it, then what came in. What failed is tried again when it comes in again."""
        queues: dict[UUID, dict[UUID, _Waiting]] = {lead_id: {} for lead_id in work.leads}
        if ids := [lead_id for lead_id, lead in work.leads.items() if lead.standing.held]:
            rows = await work.connection.fetch(
                f"SELECT * FROM {self.leads.service}.held WHERE lead_id = ANY($1) ORDER BY number", ids
            )
            for row in rows:
                event = _held_in(row)
                item = _Waiting(decode(event), event, row["reason"], row["detail"], news=False, skip=row["skip"])
                queues[event.lead_id][event.event_id] = item
        for item in incoming:
            queue = queues[item.event.lead_id]
            item.skip = item.event.id in queue and queue[item.event.id].skip
            queue[item.event.id] = item
        return queues

    async def _fold(self, work: Work[S], lead_id: UUID, queue: Collection[_Waiting]) -> None:
        """Apply what can be applied, cards first. Handlers only change memory: a lead can be begun anew."""
        while True:
            try:
                return self._pass(work.leads[lead_id], queue, work.now)
            except Recall:
                await self.leads.reload(work, lead_id)

    def _pass(self, lead: Lead[S], queue: Collection[_Waiting], now: datetime) -> None:
        waiting = sorted(queue, key=lambda item: item.event.topic is not Topic.CARD)
        moved = True
        while moved:
            rest = [item for item in waiting if not self._take_one(lead, item, now)]
            moved, waiting = len(rest) < len(waiting), rest

    def _take_one(self, lead: Lead[S], item: _Waiting, now: datetime) -> bool:
        """Whether the event is done with: applied now or before. Raises `Recall` when its lead is to be begun anew."""
        event, standing = item.event, lead.standing
        if item.verdict == "failed":
            lead.blocked = True
            return False
        item.verdict = self._verdict(lead, event)
        if item.verdict != "apply":
            return item.verdict == "repeat"
        lead.begin(Cause.of(event, now), now)
        lead.adopt(event)
        if isinstance(event.data, CardErased):
            lead.erasing = event.data.erasure_id
            standing.card_version = event.seq
            standing.erased = True
            return True
        if item.skip:
            return True
        try:
            self.handlers.get(type(event.data), _ignore)(lead, event, now)
        except Exception as error:  # a wrong rule or a bug must stop this lead only
            if isinstance(error, Recall) and not lead.whole:
                raise
            item.verdict, item.detail, item.news = "failed", _why(error), True
            logger.error("event_held", lead=str(lead.lead_id), error=item.detail, exc_info=error)
            raise Recall from error
        return True

    def _verdict(self, lead: Lead[S], event: Envelope[Event]) -> str:
        """`apply`, `repeat`, or why the event must wait: `behind` a failed one, `gap`, or for the `card`."""
        standing = lead.standing
        if standing.erased and event.topic is not Topic.PRIVACY:
            return "repeat"
        if event.topic is Topic.CARD:
            return "apply" if event.seq > standing.card_version else "repeat"
        if event.topic in (Topic.PRIVACY, Topic.MARKET):
            return "behind" if lead.blocked else "apply"
        last = standing.last_of(event.topic)
        verdict = adopt(last, event.seq)
        if lead.blocked and verdict != "repeat":
            return "behind"
        if verdict == "gap" and last == 0 and self._born and event.attributes.recordedtime < self._born:
            verdict = "apply"
        if verdict == "apply" and self._needs_card and event.attributes.cardversion > standing.card_version:
            return "card"
        return verdict

    async def _keep(self, work: Work[S], queues: _Queues) -> None:
        """Make the held table say exactly what still waits."""
        done: list[UUID] = []
        for lead_id, queue in queues.items():
            standing = work.leads[lead_id].standing
            if standing.held:
                done += [event_id for event_id, item in queue.items() if not item.waits]
            standing.held = any(item.waits for item in queue.values())
        if done:
            await work.connection.execute(
                f"DELETE FROM {self.leads.service}.held WHERE lead_id = ANY($1) AND event_id = ANY($2)",
                list(queues), done,
            )  # fmt: skip
        news = [item for queue in queues.values() for item in queue.values() if item.waits and item.news]
        if not news:
            return
        await work.connection.executemany(
            f"""INSERT INTO {self.leads.service}.held AS h
                    (lead_id, topic, seq, event_id, type, attributes, body, reason, detail, attempts, held_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                ON CONFLICT (lead_id, event_id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
                    attempts = h.attempts + excluded.attempts, retry_at = NULL, skip = false""",
            [(item.event.lead_id, item.event.topic, item.event.seq, item.event.id, item.stored.type,
              item.stored.attributes, item.stored.body, item.verdict, item.detail,
              int(item.verdict == "failed"), work.now) for item in news],
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

    async def retry_due(self) -> float:
        """Bring the held events again that somebody asked to be tried again; answers when to look again."""
        async with self.leads.database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT * FROM {self.leads.service}.held WHERE retry_at <= $1 ORDER BY number LIMIT 100",
                self.leads.clock.now(),
            )
        if rows:
            await self.take([_held_in(row) for row in rows])
        return RETRY_SECONDS

    def _observe(self, queues: _Queues, now: datetime) -> None:
        service = self.leads.service
        items = [item for queue in queues.values() for item in queue.values()]
        tally = Counter(item.verdict for item in items)
        metrics.CONSUMER_APPLIED.labels(service).inc(tally["apply"])
        metrics.CONSUMER_REDELIVERED.labels(service).inc(tally["repeat"])
        for item in items:
            if item.verdict == "apply" and not item.event.history:
                age = (now - item.event.attributes.recordedtime).total_seconds()
                metrics.HEARD_SECONDS.labels(service, item.event.topic).observe(max(age, 0.0))


def _held_in(row: asyncpg.Record) -> Stored:
    return event_in(row, ("held", 0, row["number"]))


def _ignore(_lead: Lead[Any], _event: Envelope[Event], _now: datetime) -> None:
    """Events without a handler count as heard."""


def _why(error: Exception) -> str:
    """The kind of error and where, without its message: a message may quote personal data."""
    *_, place = [None, *traceback.extract_tb(error.__traceback__)]
    return type(error).__name__ + (f" in {place.name} line {place.lineno}" if place else "")
