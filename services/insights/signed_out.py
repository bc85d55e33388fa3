"""Sessions that somebody ended before their time was over; whoever has a copy of the cookie is signed out as well."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime

import structlog

from shared.database import Database, is_transient

LOOK_SECONDS = 2.0

logger = structlog.get_logger("sign-in")


class SignedOut:
    """What this process knows of them: its own at once, those of others within two seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: frozenset[str] = frozenset()
        self._look_at = 0.0

    async def known(self, now: datetime) -> Collection[str]:
        """While the database is away, those known before: pages that need none go on."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            try:
                async with self._database.connection() as connection:
                    rows = await connection.fetch("SELECT session FROM insights.signed_out WHERE until > $1", now)
                self._known = frozenset(row["session"] for row in rows)
            except Exception as error:
                if not is_transient(error):
                    raise
        return self._known

    async def add(self, session: str, until: datetime, now: datetime) -> None:
        """Without the database the session lasts, and only its browser forgets it."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute("DELETE FROM insights.signed_out WHERE until <= $1", now)
                insert = "INSERT INTO insights.signed_out VALUES ($1, $2) ON CONFLICT DO NOTHING"
                await connection.execute(insert, session, until)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("session_not_ended", error=type(error).__name__)
        self._known |= {session}
