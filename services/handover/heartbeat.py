"""Knows when nobody could answer an offer, and gives that time back to those who were asked."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import structlog

from services.handover.domain.lead import SalesLead
from services.handover.domain.working_hours import extended
from services.handover.moving import EXPIRY
from services.handover.repository import SILENT_SECONDS
from services.handover.settings import HandoverSettings
from shared.database import is_transient
from shared.leads import Cause

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

BEAT_SECONDS = 5

logger = structlog.get_logger("heartbeat")


async def run(runtime: Runtime[SalesLead]) -> None:
    while True:
        try:
            await beat(runtime)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("heartbeat_missed", error=type(error).__name__)
        await asyncio.sleep(BEAT_SECONDS)


async def beat(runtime: Runtime[SalesLead]) -> None:
    """Say that offers can be answered now; after a silence, first put off what ran out or ran on during it."""
    async with runtime.database.transaction() as connection:
        # The database's clock, so that it does not matter which process beat last.
        silence: timedelta | None = await connection.fetchval(
            "SELECT clock_timestamp() - beat_at FROM handover.heartbeat FOR UPDATE"
        )
        if silence is not None and silence > timedelta(seconds=SILENT_SECONDS):
            now = runtime.clock.now()
            put_off = await _put_off(connection, runtime, now - silence, now)
            logger.warning("silence_over", seconds=round(silence.total_seconds()), offers=put_off)
        await connection.execute(
            """INSERT INTO handover.heartbeat (beat_at) VALUES (clock_timestamp())
                ON CONFLICT (one) DO UPDATE SET beat_at = clock_timestamp()"""
        )


async def _put_off(
    connection: Connection, runtime: Runtime[SalesLead], away_from: datetime, away_until: datetime
) -> int:
    hours = cast("HandoverSettings", runtime.settings).hours
    rows = await connection.fetch("SELECT lead_id FROM handover.lead WHERE due_at > $1", away_from)
    lead_ids = [row["lead_id"] for row in rows]
    work = await runtime.leads.open(connection, lead_ids, Cause(time=away_until), away_until, create=False)
    for lead in work.leads.values():
        offer, due_at = lead.state.offer, lead.state.due_at
        if offer is not None and due_at is not None:
            offer.due_at = lead.timers[EXPIRY] = extended(due_at, away_from, away_until, hours)
            lead.state.offers[offer.offer_id] = offer
    await runtime.leads.save(work)
    return len(rows)
