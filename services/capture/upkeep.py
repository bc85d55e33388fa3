"""What capture does beside answering: the demo site at the start, and forgetting what need not be kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog

from services.capture import repeatable, sites, visitors
from services.capture.room import room_in
from shared.database import is_transient
from shared.service import Runtime

TIDY_SECONDS = 300.0
_BETWEEN_BITES = 0.1

logger = structlog.get_logger("upkeep")


async def seed(runtime: Runtime[Any]) -> None:
    """Make the site `demo` where the settings ask for it."""
    room = room_in(runtime)
    while room.settings.demo_site:
        try:
            async with runtime.database.transaction() as connection:
                await sites.seed_demo(connection, runtime.clock.now())
            room.sites.forget()
            return
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(0.2)


async def tidy(runtime: Runtime[Any]) -> None:
    """Forget answers of yesterday and visitors who never said who they are, a little at a time."""
    while True:
        gone = 0
        try:
            gone = await forget(runtime)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("tidying_interrupted", error=type(error).__name__)
        await asyncio.sleep(_BETWEEN_BITES if gone else TIDY_SECONDS)


async def forget(runtime: Runtime[Any]) -> int:
    """One round of forgetting; answers how much went."""
    now = runtime.clock.now()
    async with runtime.database.transaction() as connection:
        gone = await repeatable.forget_old(connection, now)
        return gone + await visitors.forget_old(
            connection, now - timedelta(days=room_in(runtime).settings.anonymous_days)
        )
