"""A submission that was put aside turns out to be somebody's: it is taken in as if it had just passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.capture.acceptance import Answer, Ask, Verdict, accept
from services.capture.domain.submission import Submission
from services.capture.repository import Record
from shared.errors import NotFound
from shared.leads import Leads
from shared.trace import traceparent

if TYPE_CHECKING:
    from shared.database import Connection


async def release(leads: Leads[Record], submission_id: UUID) -> Answer:
    """What became of it, now or when it was released before. Raises `NotFound`."""
    async with leads.database.transaction() as connection:
        now = leads.clock.now()
        row = await connection.fetchrow(
            "SELECT body, released_at, lead_id FROM capture.quarantine WHERE submission_id = $1 FOR UPDATE",
            submission_id,
        )
        if row is None:
            raise NotFound("nothing was put aside under this id")
        if row["released_at"] is not None:
            return await _as_before(connection, submission_id, row["lead_id"])
        kept = msgspec.json.decode(row["body"], type=Submission)
        ask = Ask(msgspec.structs.replace(kept, trap=""), trace=traceparent())

        async def mark(inner: Connection, verdicts: Sequence[Verdict]) -> None:
            answer = verdicts[0]
            assert isinstance(answer, Answer)
            await inner.execute(
                "UPDATE capture.quarantine SET released_at = $2, lead_id = $3 WHERE submission_id = $1",
                submission_id, now, answer.lead_id,
            )  # fmt: skip

        verdict = (await accept(leads, connection, [ask], now, also=mark))[0]
        assert isinstance(verdict, Answer)
        return verdict


async def _as_before(connection: Connection, submission_id: UUID, lead_id: UUID) -> Answer:
    created = await connection.fetchval(
        "SELECT created FROM capture.submission WHERE submission_id = $1", submission_id
    )
    return Answer(submission_id, "new" if created else "known", lead_id)
