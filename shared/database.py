"""PostgreSQL for one service: a pool with deadlines, and the tables that every service's plumbing needs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import msgspec

from shared.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"

# Every wait has an end: a statement, a lock, a transaction that was forgotten, a connection that never comes.
STATEMENT_SECONDS = 15
LOCK_SECONDS = 5
IDLE_IN_TRANSACTION_SECONDS = 20
ACQUIRE_SECONDS = 1.0
CONNECT_SECONDS = 3.0
# Whoever does not even acknowledge what was sent is no more, as after a failover: no statement need run out of time.
DEAD_SECONDS = 4

_SERVER_SETTINGS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s", "lock_timeout": f"{LOCK_SECONDS}s", "timezone": "UTC",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    # The server looks too whether we are there: it holds locks for us.
    "tcp_user_timeout": f"{DEAD_SECONDS}s", "tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1",
}  # fmt: skip

# By what PostgreSQL calls their class: the connection, its resources, a lost race, an operator at work, a lock in use.
TRANSIENT: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    Unavailable,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.OperatorInterventionError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


# They share a parent with outages, but no waiting mends a wrong argument or a missing file.
_BUGS = (ValueError, FileNotFoundError, PermissionError)


def is_transient(error: BaseException) -> bool:
    """Whether the same thing may work in a moment: the database is away, slow, locked or full, or time ran out."""
    if type(error).__module__.startswith("sqlalchemy."):
        # It wraps what the driver said; its pool with none free has a TimeoutError of its own.
        pool_is_empty = type(error).__name__ == "TimeoutError"
        return pool_is_empty or (error.__cause__ is not None and is_transient(error.__cause__))
    return isinstance(error, TRANSIENT) and not isinstance(error, _BUGS)


def _encode_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _leave(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nothing is asked of the server: the pool has ended what was open, and here no setting or lock outlives that."""


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    connected: socket.socket = connection._transport.get_extra_info("socket")  # pyright: ignore
    if connected.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
    await connection.set_type_codec("jsonb", encoder=_encode_json, decoder=msgspec.json.decode, schema="pg_catalog")


class Database:
    """A pool that connects when it is first used, so that a service starts while PostgreSQL is away."""

    def __init__(self, url: str, *, name: str, size: int = 8) -> None:
        self.url = url
        self._name = name
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._pool is None:
            # Without a connection to begin with there is nothing to wait for, so no other task comes between.
            self._pool = await asyncpg.create_pool(
                self.url, min_size=0, max_size=self._size, timeout=CONNECT_SECONDS, init=_prepare, reset=_leave,
                command_timeout=STATEMENT_SECONDS + 2,
                server_settings=_SERVER_SETTINGS | {"application_name": f"leadline-{self._name}"},
            )  # fmt: skip
        return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A pooled connection. Raises `Unavailable` when none is free or the server cannot be reached in time."""
        pool = await self.pool()
        try:
            held = await pool.acquire(timeout=ACQUIRE_SECONDS)
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            raise Unavailable("the database cannot be reached") from error
        try:
            yield held
        finally:
            await pool.release(held)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()


def sqlalchemy_url(url: str) -> str:
    """The same address in SQLAlchemy's spelling."""
    return "postgresql+asyncpg://" + url.partition("://")[2]


def plumbing(service: str) -> list[str]:
    """The statements that make a service's plumbing: its log, and what it knows, waits for and has heard of each lead.

    A service's first migration runs them. They belong here because the code that reads these tables does.
    """
    return [
        "CREATE SCHEMA IF NOT EXISTS bus",
        f"CREATE SCHEMA IF NOT EXISTS {service}",
        f"CREATE SEQUENCE bus.{service}_pos",
        # Rows are only ever added; a day is dropped whole. The body is text: the server need not understand it.
        f"""CREATE TABLE bus.{service}_log (
            event_id uuid NOT NULL, topic text NOT NULL, lane smallint NOT NULL, pos bigint NOT NULL,
            lead_id uuid NOT NULL, seq bigint NOT NULL, type text NOT NULL,
            attributes text NOT NULL, body text NOT NULL
        ) PARTITION BY RANGE (event_id)""",
        # What this service knows of a lead for certain: the stage and whose turn it is, and how far it has heard.
        f"""CREATE TABLE {service}.standing (
            lead_id uuid PRIMARY KEY,
            stage text NOT NULL DEFAULT '', cycle integer NOT NULL DEFAULT 0, stage_seq bigint NOT NULL DEFAULT 0,
            stage_before text NOT NULL DEFAULT '', card_version bigint NOT NULL DEFAULT 0,
            activity_seq bigint NOT NULL DEFAULT 0, score_seq bigint NOT NULL DEFAULT 0,
            nurture_seq bigint NOT NULL DEFAULT 0, handover_seq bigint NOT NULL DEFAULT 0,
            said_seq bigint NOT NULL DEFAULT 0, site text NOT NULL DEFAULT '', product text NOT NULL DEFAULT '',
            test boolean NOT NULL DEFAULT false, erased boolean NOT NULL DEFAULT false,
            held boolean NOT NULL DEFAULT false
        ) WITH (fillfactor = 80)""",
        f"""CREATE TABLE {service}.timer (
            lead_id uuid NOT NULL, name text NOT NULL, lane smallint NOT NULL, due_at timestamptz NOT NULL,
            PRIMARY KEY (lead_id, name)
        ) WITH (fillfactor = 80)""",
        f"CREATE INDEX timer_due ON {service}.timer (due_at)",
        f"""CREATE TABLE {service}.held (
            lead_id uuid NOT NULL, topic text NOT NULL, seq bigint NOT NULL, event_id uuid NOT NULL,
            type text NOT NULL, attributes text NOT NULL, body text NOT NULL,
            reason text NOT NULL, detail text NOT NULL DEFAULT '', attempts integer NOT NULL DEFAULT 0,
            held_at timestamptz NOT NULL, retry_at timestamptz, skip boolean NOT NULL DEFAULT false,
            number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (lead_id, event_id)
        )""",
        f"CREATE INDEX held_retry ON {service}.held (retry_at) WHERE retry_at IS NOT NULL",
        # What people decided about held events; it stays when the event does not wait any more.
        f"""CREATE TABLE {service}.tended (
            lead_id uuid NOT NULL, event_id uuid NOT NULL, topic text NOT NULL, seq bigint NOT NULL,
            deed text NOT NULL, reason text NOT NULL, who text NOT NULL, at timestamptz NOT NULL
        )""",
        f"""CREATE TABLE {service}.undecodable (
            topic text NOT NULL, place bigint NOT NULL, pos bigint NOT NULL, reason text NOT NULL,
            headers text NOT NULL, body bytea, kept_at timestamptz NOT NULL, PRIMARY KEY (topic, place, pos)
        )""",
        # How far each reader has come: a hearer in the logs of others, the relay in its own.
        f"""CREATE TABLE {service}.reading (
            reader text NOT NULL, speaker text NOT NULL, lane smallint NOT NULL, pos bigint NOT NULL,
            as_of timestamptz NOT NULL, PRIMARY KEY (reader, speaker, lane)
        ) WITH (fillfactor = 50)""",
        # Events recorded before this moment may be missing at the front: the first one seen is then accepted.
        f"CREATE TABLE {service}.born AS SELECT clock_timestamp() AS at",
    ]
