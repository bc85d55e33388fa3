"""A service's tables are brought up to date when it starts; safe to run twice and by several at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from sqlalchemy import Connection

SERVICES = Path(__file__).parent.parent / "services"
MIGRATION_LOCK = 7790


def folder(service: str) -> Path:
    return SERVICES / service / "migrations"


def newest(service: str) -> str:
    """The newest revision; files are named by it and sort by number: `0001_first.py` holds revision `0001`."""
    return max(path.name.partition("_")[0] for path in (folder(service) / "versions").glob("[0-9]*.py"))


async def migrate(service: str, url: str) -> bool:
    """Bring the tables of one service up to date; answers whether there was anything to do."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        if await _revision(connection, service) == newest(service):
            return False
    finally:
        await connection.close()
    await asyncio.to_thread(_upgrade, service, url)
    return True


async def _revision(connection: asyncpg.Connection[asyncpg.Record], service: str) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", f"{service}.alembic_version") is None:
        return None
    revision: str | None = await connection.fetchval(f"SELECT version_num FROM {service}.alembic_version")
    return revision


def _upgrade(service: str, url: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder(service)))
    config.attributes["url"] = url
    command.upgrade(config, "head")


def run(context: Any, service: str) -> None:
    """What a service's `migrations/env.py` does with `alembic.context`: one transaction, one process at a time."""
    from shared.settings import Settings

    url = context.config.attributes.get("url") or Settings.load().database_url
    asyncio.run(_run(context, service, url))


async def _run(context: Any, service: str, url: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    from shared.database import sqlalchemy_url

    engine = create_async_engine(sqlalchemy_url(url))
    try:
        async with engine.begin() as connection:
            # One lock for all services: two that start together would both create the schema they share.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
            await connection.run_sync(_upgrade_on, context, service)
    finally:
        await engine.dispose()


def _upgrade_on(connection: Connection, context: Any, service: str) -> None:
    context.configure(connection=connection, version_table_schema=service)
    context.run_migrations()
