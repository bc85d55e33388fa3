"""How events are carried in a running installation, and where the hearers of the PostgreSQL carrier stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.bus.kafka import KafkaRelay
from shared.bus.postgres import PostgresHearer
from shared.database import Connection
from shared.events.topics import SERVICES
from shared.log import LOCK_OF

_HOLDERS = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = $1 AND objid = $2"""


class OtherCarrier(SystemExit):
    """The services carry events in another way than this command was told."""


async def made(connection: Connection) -> list[str]:
    """The services whose tables are in this database."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) name WHERE to_regclass(name || '.reading') IS NOT NULL", SERVICES
    )
    there = {row["name"] for row in rows}
    return [name for name in SERVICES if name in there]


async def works(connection: Connection, worker: type[KafkaRelay | PostgresHearer], service: str) -> bool:
    """Whether a process of the service relays to Kafka, or hears by PostgreSQL."""
    return await connection.fetchval(_HOLDERS, worker.lock, LOCK_OF[service]) is not None


async def check_carrier(connection: Connection, bootstrap: str | None) -> None:
    """Raises `OtherCarrier` when services run on the other carrier than `bootstrap` says."""
    other = PostgresHearer if bootstrap else KafkaRelay
    running = [name for name in SERVICES if await works(connection, other, name)]
    if not running:
        return
    words = ", ".join(running)
    raise OtherCarrier(
        f"KAFKA_BOOTSTRAP_SERVERS is set here, but {words} carry events by PostgreSQL: unset it."
        if bootstrap
        else f"{words} carry events by Kafka: set KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC_PREFIX as they have them."
    )


Places = Mapping[str, Mapping[int, int]]
"""Positions by speaker and lane."""


async def set_back(connection: Connection, service: str, places: Places, since: datetime) -> None:
    """Have a service hear again what comes after these positions; where it has not come so far nothing changes.

    A worker in the middle of a batch cannot note its position any more: it gives the batch up and begins from ours.
    """
    # Its worker moves many positions in a statement: two who do that in different orders would wait for each other.
    await connection.execute(f"LOCK TABLE {service}.reading IN SHARE ROW EXCLUSIVE MODE")
    for speaker, lanes in places.items():
        await connection.execute(
            f"""UPDATE {service}.reading r SET pos = least(r.pos, n.pos), as_of = least(r.as_of, $5)
                FROM unnest($3::smallint[], $4::bigint[]) AS n(lane, pos)
                WHERE r.reader = $1 AND r.speaker = $2 AND r.lane = n.lane""",
            PostgresHearer.reader, speaker, list(lanes), list(lanes.values()), since,
        )  # fmt: skip


async def positions(connection: Connection, service: str) -> dict[tuple[str, int], int]:
    """How far a service has heard, by speaker and lane."""
    rows = await connection.fetch(
        f"SELECT speaker, lane, pos FROM {service}.reading WHERE reader = $1", PostgresHearer.reader
    )
    return {(row["speaker"], row["lane"]): row["pos"] for row in rows}


async def wake(connection: Connection, service: str) -> None:
    """Have the worker of a service read its positions anew: its connection is ended, and it makes another at once."""
    await connection.execute(
        f"SELECT pg_terminate_backend(pid) FROM ({_HOLDERS}) h", PostgresHearer.lock, LOCK_OF[service]
    )
