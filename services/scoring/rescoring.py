"""After a change of rules every lead is counted anew, in batches; each lead's row says how far this has come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from services.scoring.domain.scored import Scored
from services.scoring.handlers import recount
from services.scoring.repository import rulebook_of
from shared.database import is_transient
from shared.events.envelope import Actor
from shared.leads import Cause
from shared.service import Runtime
from shared.trace import step

BATCH = 100
IDLE_SECONDS = 1.0
# The key of the advisory lock under which one process at a time does this.
_LOCK = 7796

Failed = set[tuple[int, UUID]]
"""Leads that could not be counted under a version of the rules."""

logger = structlog.get_logger("scoring")


async def rescore(runtime: Runtime[Scored]) -> None:
    """Runs beside the consumer; killed at any time, it goes on where it was."""
    failed: Failed = set()
    while True:
        try:
            counted = await rescore_batch(runtime, failed)
        except Exception as error:
            if not is_transient(error):
                raise
            counted = 0
        if not counted:
            await asyncio.sleep(IDLE_SECONDS)


async def rescore_batch(runtime: Runtime[Scored], failed: Failed) -> int:
    """Count some leads anew that were last counted under other rules than the live ones; answers how many.

    One whose counting fails is put into `failed` and left for its next event, so that it keeps nobody else waiting.
    """
    async with runtime.database.transaction() as connection:
        version = (await rulebook_of(runtime).live(connection)).rules.version
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        rows = await connection.fetch(
            "SELECT lead_id FROM scoring.state WHERE rules_version < $1 AND lead_id <> ALL($2) LIMIT $3",
            version, [lead_id for of, lead_id in failed if of == version], BATCH,
        )  # fmt: skip
        lead_ids = [row["lead_id"] for row in rows]
        try:
            await _count_anew(runtime, lead_ids, version)
        except Exception as error:
            if is_transient(error):
                raise
            for lead_id in lead_ids:
                await _count_alone(runtime, lead_id, version, failed)
    return len(lead_ids)


async def _count_anew(runtime: Runtime[Scored], lead_ids: Sequence[UUID], version: int) -> None:
    if not lead_ids:
        return
    now = runtime.clock.now()
    cause = Cause(time=now, actor=Actor("rule", f"rules {version}"), trace=step())
    async with runtime.leads.work(lead_ids, cause=cause) as work:
        for lead in work.leads.values():
            recount(lead, work.now)


async def _count_alone(runtime: Runtime[Scored], lead_id: UUID, version: int, failed: Failed) -> None:
    try:
        await _count_anew(runtime, [lead_id], version)
    except Exception as error:
        if is_transient(error):
            raise
        logger.exception("rescoring_failed", lead=str(lead_id), error=type(error).__name__)
        failed.add((version, lead_id))
