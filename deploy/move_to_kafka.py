"""`leadline move-to-kafka`: brings an installation that carries its events by PostgreSQL over to Kafka.

While the services still run as they did, the topics are made and everything ever said is published, and each relay's
position is noted. Started with Kafka, relays go on from there, and hearers begin at the first event and drop what they
have had: between the last event heard by PostgreSQL and the first by Kafka nothing is lost, whatever came meanwhile.
"""

from __future__ import annotations

import asyncpg

from deploy.carriers import made, works
from deploy.history import Wanted
from deploy.kafka_rebuild import tell_counts
from deploy.replay import CannotReplay, published
from shared.bus.kafka import KafkaRelay
from shared.events.topics import SERVICES
from shared.settings import Settings


async def move(settings: Settings) -> None:
    """Raises `CannotReplay` with what to put right. Run again, it publishes what has been said since."""
    if not settings.kafka_bootstrap_servers:
        raise CannotReplay("Set KAFKA_BOOTSTRAP_SERVERS (and KAFKA_TOPIC_PREFIX) to where the events are to go.")
    connection = await asyncpg.connect(settings.database_url)
    try:
        here = await made(connection)
        if set(here) != set(SERVICES):
            raise CannotReplay(f"Only {', '.join(here) or 'no service'} has tables in this database, but all must.")
        if moved := [name for name in here if await works(connection, KafkaRelay, name)]:
            raise CannotReplay(f"{', '.join(moved)} already carry events by Kafka.")
        tell_counts(await published(connection, settings, Wanted(unpublished=True)))
    finally:
        await connection.close()
    print("Now stop the services and start them with KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC_PREFIX as they are here.")
