"""A service's tables are brought up to date when it starts; safe to run twice and by several at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from shared.database import sqlalchemy_url

if TYPE_CHECKING:
    from sqlalchemy import Connection

SERVICES = Path(__file__).parent.parent / "services"
MIGRATION_LOCK = 7790


def newest(service: str) -> str:
    """The newest revision; files are named by it and sort by number: `0001_first.py` holds revision `0001`."""
    versions = SERVICES / service / "migrations" / "versions"
    return max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))


async def migrate(service: str, url: str) -> bool:
    """Bring the tables of one service up to date; answers whether there was anything to do."""
    # Asked without SQLAlchemy first: most starts find nothing to do and need not load it.
    asking = await asyncpg.connect(url, timeout=5)
    try:
        known = await asking.fetchval("SELECT to_regclass($1)", f"{service}.alembic_version")
        if known and await asking.fetchval(f"SELECT version_num FROM {service}.alembic_version") == newest(service):
            return False
    finally:
        await asking.close()
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(sqlalchemy_url(url))
    try:
        async with engine.begin() as connection:
            # One lock for all services: two that start together would both create the schema they share.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
            await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()
    return True


def _upgrade(connection: Connection, service: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SERVICES / service / "migrations"))
    command.upgrade(config, "head")


def run(context: Any, service: str) -> None:
    """What a service's `migrations/env.py` does with `alembic.context`: all in the transaction of `migrate`."""
    context.configure(connection=context.config.attributes["connection"], version_table_schema=service)
    context.run_migrations()
