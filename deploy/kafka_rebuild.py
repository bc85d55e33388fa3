"""`leadline rebuild-kafka`: fills a Kafka that has lost its data from the logs of the services, while they run.

Topics that are gone are made again, and every event that was ever said is published, cards as they now are. Hearers
whose place is gone with the topics read from the beginning and drop what they have had.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from deploy.carriers import check_carrier
from deploy.history import Wanted
from deploy.replay import CannotReplay, published
from shared.events.topics import SERVICES, Topic
from shared.log import present
from shared.settings import Settings


async def rebuild(settings: Settings) -> None:
    """Raises `CannotReplay` with what to put right."""
    if not settings.kafka_bootstrap_servers:
        raise CannotReplay("Set KAFKA_BOOTSTRAP_SERVERS (and KAFKA_TOPIC_PREFIX) as the services have them.")
    connection = await asyncpg.connect(settings.database_url)
    try:
        await check_carrier(connection, settings.kafka_bootstrap_servers)
        here = await present(connection, SERVICES)
        if not here:
            raise CannotReplay("There is no log of a service in this database.")
        tell_counts(await published(connection, settings, Wanted()))
        if away := [name for name in SERVICES if name not in here]:
            print(f"This was said by {', '.join(here)}. Run it with the databases of {', '.join(away)} as well.")
    finally:
        await connection.close()


def tell_counts(counts: Mapping[str, int]) -> None:
    for topic in Topic:
        print(f"{topic:<16} {counts.get(topic, 0):>9}")
    print(f"{sum(counts.values())} events are in Kafka. Hearers drop what they have had.")
