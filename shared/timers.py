"""Timers fire when everything recorded before them has been heard, each once, under the lock of their lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from shared import metrics
from shared.events.envelope import Actor
from shared.events.topics import lane_of
from shared.leads import Cause, Lead, Leads, Recall, Work
from shared.trace import step

S = TypeVar("S")
TimerHandler = Callable[[Lead[S], datetime, datetime], None]
"""Called with the lead, the moment the timer was set for, and now. The timer is gone unless it is set again."""

BATCH = 200
# A timer whose handler fails is tried again after this long, so that it harms no other.
FAILED_AGAIN = timedelta(minutes=5)

logger = structlog.get_logger("timers")


class Timers(Generic[S]):
    """Fires the timers of a service's leads, as far as `marks` (lane -> heard until) allows."""

    def __init__(
        self, leads: Leads[S], handlers: Mapping[str, TimerHandler[Any]], marks: Mapping[int, datetime]
    ) -> None:
        self.leads = leads
        self.handlers = handlers
        self.marks = marks

    async def fire(self) -> int:
        """Fire what is due; answers how many leads had something due."""
        marks = dict(self.marks)
        if not marks:
            return 0
        async with self.leads.database.connection() as connection:
            rows = await connection.fetch(
                f"""SELECT DISTINCT lead_id FROM (
                        SELECT t.lead_id, t.due_at FROM {self.leads.service}.timer t
                        JOIN unnest($1::smallint[], $2::timestamptz[]) AS m(lane, mark) ON m.lane = t.lane
                        WHERE t.due_at <= m.mark AND t.due_at <= $3 ORDER BY t.due_at LIMIT $4) due""",
                list(marks), list(marks.values()), max(marks.values()), BATCH,
            )  # fmt: skip
        if rows:
            await self._fire([row["lead_id"] for row in rows], marks)
        return len(rows)

    async def _fire(self, lead_ids: list[UUID], marks: Mapping[int, datetime]) -> None:
        cause = Cause(time=self.leads.clock.now(), actor=Actor("timer"), trace=step())
        async with self.leads.work(lead_ids, cause=cause) as work:
            for lead_id in list(work.leads):
                await self._fire_lead(work, lead_id, marks)

    async def _fire_lead(self, work: Work[S], lead_id: UUID, marks: Mapping[int, datetime]) -> None:
        """The lock is held now: only what is still due counts, whoever looked at the table before."""
        postponed: dict[str, datetime] = {}
        while True:
            lead = work.leads[lead_id]
            lead.timers |= postponed
            for at, name in sorted((at, name) for name, at in lead.timers.items() if at <= marks[lane_of(lead_id)]):
                if lead.timers.pop(name, None) is None:
                    continue  # the one before has called it off
                lead.cause.actor = Actor("timer", name)
                try:
                    self.handlers[name](lead, at, work.now)
                except Exception as error:
                    if lead.whole or not isinstance(error, Recall):
                        logger.exception("timer_failed", timer=name, lead=str(lead_id), error=type(error).__name__)
                        postponed[name] = work.now + FAILED_AGAIN
                    # Handlers only change memory: begin the lead anew and leave that one timer for later.
                    await self.leads.reload(work, lead_id)
                    break
                metrics.TIMERS_FIRED.labels(self.leads.service, name).inc()
            else:
                return
