"""`leadline rebuild insights`: its timelines, lists and sums are made anew from everything that was ever said."""

# aiokafka's calls carry no types.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import asyncio

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.carriers import check_carrier, made, positions, set_back, wake, works
from deploy.replay import CannotReplay, heard_again
from services.insights.app import service
from services.insights.emptying import empty, say_nothing_is_heard
from shared.bus.kafka import PARTITIONS
from shared.bus.postgres import PostgresHearer
from shared.clock import EPOCH
from shared.database import Connection
from shared.settings import Settings

_NAME = "insights"
_KAFKA_SECONDS = 20


async def rebuild(settings: Settings) -> None:
    """Raises `CannotReplay` with what to put right."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        if _NAME not in await made(connection):
            raise CannotReplay("insights has no tables in this database.")
        await check_carrier(connection, settings.kafka_bootstrap_servers)
        if settings.kafka_bootstrap_servers:
            await _on_kafka(connection, settings, settings.kafka_bootstrap_servers)
        else:
            await _on_postgres(connection)
    finally:
        await connection.close()


async def _on_postgres(connection: Connection) -> None:
    """The tables and the positions change in one transaction, so a worker that runs needs not stop for it."""
    runs = await works(connection, PostgresHearer, _NAME)
    async with connection.transaction():
        await empty(connection)
        reached = await positions(connection, _NAME)
        speakers = {speaker for speaker, _ in reached}
        lanes = dict.fromkeys({lane for _, lane in reached}, 0)
        await set_back(connection, _NAME, dict.fromkeys(speakers, lanes), EPOCH)
    await wake(connection, _NAME)
    print("Its tables are empty; insights reads everything again.")
    # A worker that had not noticed yet may have written down how far it was before.
    await asyncio.sleep(0.5)
    await say_nothing_is_heard(connection)
    if not runs:
        print("insights does not run: it reads them when it does.")
    elif await heard_again(connection, {_NAME: reached}):
        print("insights has not come to the end yet, and goes on.")
    else:
        print("insights is as it was.")


async def _on_kafka(connection: Connection, settings: Settings, bootstrap: str) -> None:
    """First the group's place, then the tables: ended between the two, what is brought again is only dropped."""
    try:
        async with asyncio.timeout(_KAFKA_SECONDS):
            await _begin_from_the_first(bootstrap, settings.kafka_prefix)
    except (KafkaError, TimeoutError) as error:
        raise CannotReplay(
            f"The place of insights in Kafka cannot be changed ({type(error).__name__}). While a process of insights "
            "hears, Kafka refuses it: stop them all (`api` alone may run on), and run this again."
        ) from None
    async with connection.transaction():
        await empty(connection)
    print("Its tables are empty. Start insights: it reads everything from the beginning.")


async def _begin_from_the_first(bootstrap: str, prefix: str) -> None:
    """Put the group back to the first event of each topic. Raises `KafkaError` while it has members."""
    topics = {prefix + event.topic for event in service.consumes}
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=f"{prefix}leadline-{_NAME}", enable_auto_commit=False
    )
    await client.start()
    try:
        places = [TopicPartition(topic, number) for topic in sorted(topics) for number in range(PARTITIONS)]
        client.assign(places)
        await client.commit(dict.fromkeys(places, 0))
    finally:
        await client.stop()
