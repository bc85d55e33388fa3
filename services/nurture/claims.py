"""Which due mails may be sent, and taking them in hand: one statement checks and claims.

What a claim rests on: the touch is due and everything recorded before that has been heard; its lead is still in the
journey and not erased; the card has an address and a consent; and no suppression of that address is younger than the
consent. A suppression committed before the claim's snapshot stops it. `in_flight` finds what was claimed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from services.nurture.domain.touch import Touch
from services.nurture.repository import touch_of

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

# A row whose parts cannot be compared permits nothing: `coalesce` settles it against sending.
MAY_BE_WRITTEN_TO = """(p.fingerprint <> '' AND coalesce((p.consents -> t.purpose ->> 'granted')::boolean, false)
    AND NOT EXISTS (SELECT FROM nurture.suppression x WHERE x.fingerprint = p.fingerprint AND x.purpose = t.purpose
        AND x.since >= coalesce((p.consents -> t.purpose ->> 'at')::timestamptz, '-infinity')))"""

_DUE = """nurture.touch t
    JOIN unnest($1::smallint[], $2::timestamptz[]) AS m(lane, mark) ON m.lane = t.lane AND t.due_at <= m.mark
    JOIN nurture.standing s ON s.lead_id = t.lead_id AND NOT s.erased AND NOT s.held
    JOIN nurture.person p ON p.lead_id = t.lead_id
    JOIN nurture.enrolment e ON e.lead_id = t.lead_id AND e.cycle = t.cycle AND e.journey = t.journey
    WHERE t.state IN ('planned', 'deferred') AND t.due_at <= $3"""

# The person is locked with the touch: an address that changes meanwhile is read anew, or the touch is passed over.
# Chosen in a CTE of its own: a plan that ran the choice once for each touch would claim more than `limit`.
_CLAIM = f"""WITH d AS MATERIALIZED (SELECT t.touch_id, p.email, p.fingerprint, p.name, p.language, s.test
        FROM {_DUE} AND e.ended_at IS NULL AND {MAY_BE_WRITTEN_TO}
        ORDER BY t.due_at LIMIT $5 FOR UPDATE OF t, p SKIP LOCKED)
    UPDATE nurture.touch c SET state = 'claimed', claimed_until = clock_timestamp() + $4, at = $3,
        attempts = c.attempts + 1, fingerprint = d.fingerprint, reason = ''
    FROM d WHERE c.touch_id = d.touch_id
    RETURNING c.*, false AS lapsed, d.email, d.name, d.language, d.test"""

_REFUSED = f"""SELECT DISTINCT t.lead_id FROM {_DUE} AND NOT {MAY_BE_WRITTEN_TO} LIMIT $4"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail in our hands: to whom it goes, and the address as suppressions know it."""

    lead_id: UUID
    touch: Touch
    message_id: str
    email: str
    fingerprint: str
    name: str
    language: str
    test: bool


async def claim(
    connection: Connection, marks: Mapping[int, datetime], now: datetime, lease: timedelta, limit: int = 1
) -> list[Claim]:
    """Take due mails in hand, oldest first; `marks` say until when each lane has been heard."""
    rows = await connection.fetch(_CLAIM, list(marks), list(marks.values()), now, lease, limit)
    return [_claim(row) for row in rows]


async def refused(
    connection: Connection, marks: Mapping[int, datetime], now: datetime, limit: int = 100
) -> Sequence[UUID]:
    """Leads with a due mail that may not be sent."""
    rows = await connection.fetch(_REFUSED, list(marks), list(marks.values()), now, limit)
    return [row["lead_id"] for row in rows]


async def lapsed(connection: Connection, limit: int = 100) -> Sequence[UUID]:
    """Leads with a mail whose sender has not settled it in its time, as one that was killed."""
    rows = await connection.fetch(
        """SELECT DISTINCT lead_id FROM nurture.touch
           WHERE state = 'claimed' AND claimed_until < clock_timestamp() LIMIT $1""",
        limit,
    )
    return [row["lead_id"] for row in rows]


async def in_flight(connection: Connection, fingerprints: Sequence[str]) -> int:
    """How many mails to these addresses are in a sender's hands, among them those being claimed this moment.

    Asked after a suppression was committed: a claim that did not see it began before, so its touch is visible here,
    and the lock waits until that claim is visible too.
    """
    rows = await connection.fetch(
        """SELECT t.state, t.fingerprint FROM nurture.touch t WHERE t.touch_id IN (
               SELECT touch_id FROM nurture.touch WHERE state = 'claimed' AND fingerprint = ANY($1)
               UNION ALL
               SELECT o.touch_id FROM nurture.person p JOIN nurture.touch o USING (lead_id)
               WHERE p.fingerprint = ANY($1) AND o.state IN ('planned', 'deferred', 'claimed'))
           ORDER BY t.touch_id FOR SHARE""",
        fingerprints,
    )
    return sum(row["state"] == "claimed" and row["fingerprint"] in fingerprints for row in rows)


def _claim(row: asyncpg.Record) -> Claim:
    return Claim(
        lead_id=row["lead_id"],
        touch=touch_of(row),
        message_id=row["message_id"],
        email=row["email"],
        fingerprint=row["fingerprint"],
        name=row["name"],
        language=row["language"],
        test=row["test"],
    )
