"""`leadline restore scoring`: a service whose tables come from a backup hears from Kafka what they do not know.

Between the restored tables and the service's start. What others said since the backup is heard as ever, and what the
service said itself as well: events above its own numbers are put back into its log, and their stages and numbers
adopted. Meanwhile it decides nothing and says nothing, for all that was decided already.
"""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.carriers import made, works
from deploy.replay import CannotReplay, bar
from services.scoring.app import service
from services.scoring.restoring import judge_again, remember
from shared import log
from shared.bus.kafka import PARTITIONS, KafkaRelay
from shared.consumer import Consumer
from shared.events.codec import Stored, Undecodable, from_record
from shared.events.envelope import Envelope, Event
from shared.events.privacy import ErasureDone
from shared.events.scoring import ScoreChanged
from shared.events.topics import Topic
from shared.leads import Lead, Leads, Work
from shared.service import Runtime
from shared.settings import Settings

NAME = service.name
BATCH = 500
PATIENCE_SECONDS = 60
_CANNOT = {
    "capture": "cards, people and who may be written to",
    "nurture": "journeys, mails that were sent and who unsubscribed",
    "handover": "reps, offers, deals and the feed",
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
        if event.attributes.source != f"/leadline/{NAME}" or event.topic is Topic.PRIVACY:
            return
        self.saying.append(event)
        if event.topic is Topic.SCORE:
            self.standing.said_seq = max(self.standing.said_seq, event.seq)


class QuietLeads(Leads[Any]):
    kind = QuietLead

    def __init__(self, runtime: Runtime[Any]) -> None:
        publishes = frozenset(runtime.service.publishes)
        super().__init__(NAME, runtime.database, runtime.leads.repository, runtime.clock, publishes)
        self.put_back = 0
        self.touched: set[UUID] = set()

    async def save(self, work: Work[Any]) -> None:
        await super().save(work)
        said = [event for lead in work.leads.values() for event in lead.saying]
        self.put_back += sum(event.topic is not Topic.PRIVACY for event in said)
        self.touched |= {lead_id for lead_id, lead in work.leads.items() if not lead.standing.erased}


async def restore(settings: Settings, name: str) -> None:
    """Raises `CannotReplay` with what to put right. It may be run again from the beginning."""
    if name != NAME:
        raise CannotReplay(_why_not(name))
    if not settings.kafka_bootstrap_servers:
        raise CannotReplay(
            "A service comes back alone only on Kafka: set KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC_PREFIX. Where all "
            "share one database, they are restored together."
        )
    await _check_tables(settings)
    runtime = Runtime(service, service.settings.load())
    await runtime.migrate()
    try:
        await _make_days(runtime)
        leads = QuietLeads(runtime)
        others = Consumer(leads, service.consumes)
        own = Consumer(leads, {ScoreChanged: remember})
        async with _group(settings.kafka_bootstrap_servers, settings.kafka_prefix, others.topics) as group:
            ends = await _hear(settings, others, "Heard again")
            await _begin_own_where_tables_end(runtime)
            await _hear(settings, own, "Its own")
            await group.commit(ends)
        async with runtime.database.transaction() as connection:
            judged = await judge_again(connection, sorted(leads.touched), runtime.clock.now())
    except (KafkaError, TimeoutError) as error:
        raise CannotReplay(
            f"Kafka did not give it all ({type(error).__name__}). Nothing of {NAME} may hear while this runs; when "
            "Kafka is well, run it again."
        ) from None
    finally:
        await runtime.database.close()
    print(f"{leads.put_back} events that {NAME} had said are in its log again, and their numbers adopted.")
    print(f"{judged} leads are judged as of now once {NAME} runs. Start it.")


def _why_not(name: str) -> str:
    if name == "insights":
        return "Whatever insights holds is made of what it heard: empty it with `leadline rebuild insights`."
    if name not in _CANNOT:
        return f"There is no service {name!r}."
    return (
        f"{name} cannot come back alone: {_CANNOT[name]} are in no event. Restore its database up to its last moment "
        "(point-in-time recovery), or all services together from one backup."
    )


async def _check_tables(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        if NAME not in await made(connection):
            raise CannotReplay(f"{NAME} has no tables in this database: restore them first.")
        if await works(connection, KafkaRelay, NAME):
            raise CannotReplay(f"{NAME} runs: stop it first. What it says now may have numbers that were used already.")
    finally:
        await connection.close()


async def _make_days(runtime: Runtime[Any]) -> None:
    """What was said since the backup goes where it lay: its log needs these days."""
    async with runtime.database.transaction() as connection:
        newest = await connection.fetchval(f"SELECT max(event_id::text) FROM bus.{NAME}_log")
        today = datetime.now(UTC).date()
        day = datetime.fromtimestamp((UUID(newest).int >> 80) / 1000, UTC).date() if newest else today
        while day < today:
            await log.ensure_days(connection, NAME, day)
            day += timedelta(days=log.DAYS_AHEAD)
        await log.ensure_days(connection, NAME, today)


async def _begin_own_where_tables_end(runtime: Runtime[Any]) -> None:
    async with runtime.database.transaction() as connection:
        await connection.execute(f"UPDATE {NAME}.standing SET {Topic.SCORE.word}_seq = said_seq")


@asynccontextmanager
async def _group(bootstrap: str, prefix: str, topics: Sequence[str] | frozenset[str]) -> AsyncGenerator[Any]:
    """The service's place in Kafka, put to the beginning at once, which Kafka refuses while somebody hears."""
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=f"{prefix}leadline-{NAME}", enable_auto_commit=False
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
