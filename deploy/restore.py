"""`leadline restore scoring`: a service whose tables come from a backup hears from Kafka what they do not know.

Between the restored tables and the service's start. What others said since the backup is heard as ever, and what the
service said itself as well: events above its own numbers are put back into its log, and their stages and numbers
adopted. Meanwhile it decides nothing and says nothing, for all that was decided already.
Nurture and handover come back likewise: mails that left have left, and who was asked is asked.
"""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.carriers import made, works
from deploy.replay import CannotReplay, bar
from services.handover import app as handover
from services.handover import restoring as handover_restoring
from services.nurture import app as nurture
from services.nurture import restoring as nurture_restoring
from services.scoring import app as scoring
from services.scoring.restoring import judge_again, remember
from shared import log
from shared.bus.kafka import PARTITIONS, KafkaRelay
from shared.consumer import Consumer, Handler
from shared.database import Connection
from shared.events.codec import Stored, Undecodable, from_record
from shared.events.envelope import Actor, Envelope, Event
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.topics import Topic
from shared.leads import Cause, Lead, Leads, Work
from shared.service import Runtime, Service
from shared.settings import Settings

BATCH = 500
PATIENCE_SECONDS = 60
_CANNOT = {
    "capture": "cards, people and who may be written to",
}


@dataclass(frozen=True)
class Comeback:
    """How a service comes back: what it does with what others said, then with what it said itself. Each lead that was
    touched is then settled, and `finish`, given their ids and the time, answers what to tell. `begin` comes before
    anything is heard."""

    service: Service[Any]
    others: Mapping[type[Event], Handler[Any]]
    own: Mapping[type[Event], Handler[Any]]
    finish: Callable[[Connection, Sequence[UUID], datetime], Awaitable[str]]
    settle: Callable[[Lead[Any], datetime], None] | None = None
    begin: Callable[[Connection], Awaitable[None]] | None = None


async def _judge(connection: Connection, lead_ids: Sequence[UUID], now: datetime) -> str:
    return f"{await judge_again(connection, lead_ids, now)} leads are judged as of now once scoring runs."


async def _count_mails(connection: Connection, lead_ids: Sequence[UUID], _now: datetime) -> str:
    sent = await nurture_restoring.finish(connection, lead_ids)
    return f"{sent} mails to the {len(lead_ids)} leads that were heard of count as sent."


async def _count_offers(connection: Connection, _lead_ids: Sequence[UUID], now: datetime) -> str:
    held, strangers = await handover_restoring.finish(connection, now)
    named = f" Reps added after the backup: {strangers}; give them their names again." if strangers else ""
    return f"{held} leads are with a rep.{named}"


COMEBACKS = {
    "scoring": Comeback(scoring.service, scoring.service.consumes, {ScoreChanged: remember}, _judge),
    "nurture": Comeback(
        nurture.service,
        nurture_restoring.standing_still(nurture.service.consumes),
        nurture_restoring.OWN,
        _count_mails,
        nurture_restoring.settle,
    ),
    "handover": Comeback(
        handover.service,
        handover_restoring.as_it_was(handover.service.consumes),
        handover_restoring.OWN,
        _count_offers,
        handover_restoring.settle,
        handover_restoring.begin,
    ),
}


class QuietLead(Lead[Any]):
    """It owns nothing and says nothing, but that it has forgotten somebody; what it said once goes to the log again."""

    @property
    def mine(self) -> bool:
        return False

    def say(self, data: Event, *, time: datetime | None = None) -> Envelope[Event]:
        before = self.standing.said_seq
        envelope = super().say(data, time=time)
        if not isinstance(data, ErasureDone):
            self.saying.remove(envelope)
            self.standing.said_seq = before
        return envelope

    def adopt(self, event: Envelope[Event]) -> None:
        """Only what is above the service's own numbers comes here."""
        super().adopt(event)
        if event.attributes.source != f"/leadline/{self._leads.service}" or event.topic is Topic.PRIVACY:
            return
        self.saying.append(event)
        if event.topic is self._leads.own_topic:
            self.standing.said_seq = max(self.standing.said_seq, event.seq)


class QuietLeads(Leads[Any]):
    kind = QuietLead

    def __init__(self, runtime: Runtime[Any]) -> None:
        publishes = frozenset(runtime.service.publishes)
        super().__init__(runtime.service.name, runtime.database, runtime.leads.repository, runtime.clock, publishes)
        self.put_back = 0
        self.touched: set[UUID] = set()

    async def save(self, work: Work[Any]) -> None:
        await super().save(work)
        said = [event for lead in work.leads.values() for event in lead.saying]
        self.put_back += sum(event.topic is not Topic.PRIVACY for event in said)
        self.touched |= {lead_id for lead_id, lead in work.leads.items() if not lead.standing.erased}


async def restore(settings: Settings, name: str) -> None:
    """Raises `CannotReplay` with what to put right. It may be run again from the beginning."""
    comeback = COMEBACKS.get(name)
    if comeback is None:
        raise CannotReplay(_why_not(name))
    if not settings.kafka_bootstrap_servers:
        raise CannotReplay(
            "A service comes back alone only on Kafka: set KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC_PREFIX. Where all "
            "share one database, they are restored together."
        )
    await _check_tables(settings, name)
    runtime = Runtime(comeback.service, comeback.service.settings.load())
    await runtime.migrate()
    try:
        await _make_days(runtime)
        if comeback.begin is not None:
            async with runtime.database.transaction() as connection:
                await comeback.begin(connection)
        leads = QuietLeads(runtime)
        others, own = Consumer(leads, comeback.others), Consumer(leads, comeback.own)
        async with _group(settings, name, others.topics) as group:
            ends = await _hear(settings, others, "Heard again")
            await _begin_own_where_tables_end(runtime, own.topics)
            await _hear(settings, own, "Its own")
            await group.commit(ends)
        finished = await finish(runtime, comeback, sorted(leads.touched))
    except (KafkaError, TimeoutError) as error:
        raise CannotReplay(
            f"Kafka did not give it all ({type(error).__name__}). Nothing of {name} may hear while this runs; when "
            "Kafka is well, run it again."
        ) from None
    finally:
        await runtime.database.close()
    print(f"{leads.put_back} events that {name} had said are in its log again, and their numbers adopted.")
    print(f"{finished} Start it.")


async def finish(runtime: Runtime[Any], comeback: Comeback, lead_ids: Sequence[UUID]) -> str:
    """When all is heard: what is now to be said of these leads, and what to tell whoever restores."""
    now = runtime.clock.now()
    if comeback.settle is not None:
        await _settle(runtime, comeback.settle, lead_ids, now)
    async with runtime.database.transaction() as connection:
        return await comeback.finish(connection, lead_ids, now)


async def _settle(
    runtime: Runtime[Any], settle: Callable[[Lead[Any], datetime], None], lead_ids: Sequence[UUID], now: datetime
) -> None:
    cause = Cause(time=now, actor=Actor("rule", "restored"))
    for start in range(0, len(lead_ids), BATCH):
        async with runtime.leads.work(lead_ids[start : start + BATCH], cause=cause) as work:
            for lead in work.leads.values():
                if not lead.standing.erased:
                    settle(lead, now)


def _why_not(name: str) -> str:
    if name == "insights":
        return "Whatever insights holds is made of what it heard: empty it with `leadline rebuild insights`."
    if name not in _CANNOT:
        return f"There is no service {name!r}."
    return (
        f"{name} cannot come back alone: {_CANNOT[name]} are in no event. Restore its database up to its last moment "
        "(point-in-time recovery), or all services together from one backup."
    )


async def _check_tables(settings: Settings, name: str) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        if name not in await made(connection):
            raise CannotReplay(f"{name} has no tables in this database: restore them first.")
        if await works(connection, KafkaRelay, name):
            raise CannotReplay(f"{name} runs: stop it first. What it says now may have numbers that were used already.")
    finally:
        await connection.close()


async def _make_days(runtime: Runtime[Any]) -> None:
    """What was said since the backup goes where it lay: its log needs these days."""
    name = runtime.service.name
    async with runtime.database.transaction() as connection:
        newest = await connection.fetchval(f"SELECT max(event_id::text) FROM bus.{name}_log")
        today = datetime.now(UTC).date()
        day = datetime.fromtimestamp((UUID(newest).int >> 80) / 1000, UTC).date() if newest else today
        while day < today:
            await log.ensure_days(connection, name, day)
            day += timedelta(days=log.DAYS_AHEAD)
        await log.ensure_days(connection, name, today)


async def _begin_own_where_tables_end(runtime: Runtime[Any], own: Iterable[Topic]) -> None:
    async with runtime.database.transaction() as connection:
        for topic in own:
            await connection.execute(f"UPDATE {runtime.service.name}.standing SET {topic.word}_seq = said_seq")


@asynccontextmanager
async def _group(settings: Settings, name: str, topics: Iterable[Topic]) -> AsyncGenerator[Any]:
    """The service's place in Kafka, put to the beginning at once, which Kafka refuses while somebody hears."""
    bootstrap, prefix = settings.kafka_bootstrap_servers or "", settings.kafka_prefix
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=f"{prefix}leadline-{name}", enable_auto_commit=False
    )
    await client.start()
    try:
        places = [TopicPartition(prefix + topic, number) for topic in sorted(topics) for number in range(PARTITIONS)]
        client.assign(places)
        await client.commit(dict.fromkeys(places, 0))
        yield client
    finally:
        await client.stop()


async def _hear(settings: Settings, consumer: Consumer[Any], words: str) -> dict[TopicPartition, int]:
    """Take everything that its topics hold now; answers where they end."""
    prefix = settings.kafka_prefix
    client = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers or "", enable_auto_commit=False)
    await client.start()
    try:
        places = [TopicPartition(prefix + topic, at) for topic in consumer.topics for at in range(PARTITIONS)]
        client.assign(places)
        await client.seek_to_beginning(*places)
        ends: dict[TopicPartition, int] = await client.end_offsets(places)
        firsts: dict[TopicPartition, int] = await client.beginning_offsets(places)
        left = {place for place in places if firsts[place] < ends[place]}
        with bar() as shown:
            task = shown.add_task(words, total=sum(ends.values()) - sum(firsts.values()), more="")
            while left:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    got = await client.getmany(timeout_ms=1000, max_records=BATCH)
                stored: list[Stored] = []
                for place, records in got.items():
                    for record in records:
                        lies = (place.topic.removeprefix(prefix), place.partition, record.offset)
                        try:
                            stored.append(from_record(lies, record.headers, record.value))
                        except Undecodable as error:
                            await consumer.put_aside(lies, str(error), repr(dict(record.headers)), record.value)
                await consumer.take(stored)
                shown.advance(task, len(stored))
                left = {place for place in left if await client.position(place) < ends[place]}
        return ends
    finally:
        await client.stop()
