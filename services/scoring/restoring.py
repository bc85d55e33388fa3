"""What scoring does beside hearing again, when its tables are older than what it has said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.scoring.domain.scored import Said, Scored
from services.scoring.verdict import COOL
from shared.events.envelope import Envelope
from shared.events.scoring import ScoreChanged
from shared.events.topics import lane_of
from shared.leads import Lead

if TYPE_CHECKING:
    from shared.database import Connection


def remember(lead: Lead[Scored], event: Envelope[ScoreChanged], now: datetime) -> None:
    """What others were told last is what the next figures are compared with."""
    scored, memory = lead.state, lead.state.memory
    memory.said = Said(round(event.data.score * 10), event.data.grade, event.data.temperature)
    scored.figures = memory.figures(scored.rules, memory.as_of)


async def judge_again(connection: Connection, lead_ids: Sequence[UUID], now: datetime) -> int:
    """Have each of these leads judged as of now, as soon as the service runs and has heard everything."""
    done = await connection.execute(
        """INSERT INTO scoring.timer (lead_id, name, lane, due_at)
            SELECT lead_id, $3, lane, $4 FROM unnest($1::uuid[], $2::smallint[]) AS again(lead_id, lane)
            JOIN scoring.state USING (lead_id)
            ON CONFLICT (lead_id, name) DO UPDATE SET due_at = excluded.due_at""",
        list(lead_ids), [lane_of(lead_id) for lead_id in lead_ids], COOL, now,
    )  # fmt: skip
    return int(done.split()[-1])
