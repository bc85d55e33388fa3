"""Mails to reps: written with the offer they tell of, sent by whoever claims them first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.clock import uuid7

if TYPE_CHECKING:
    from services.handover.domain.lead import Offer, SalesLead
    from shared.database import Connection
    from shared.leads import Lead


async def write(connection: Connection, told: Sequence[tuple[Lead[SalesLead], Offer]]) -> None:
    """Write the mails of new offers in the transaction that makes the offers."""
    if not told:
        return
    await connection.execute(
        """INSERT INTO handover.mail (mail_id, lead_id, offer_id, rep_id, trace, due_at, created_at)
            SELECT mail_id, lead_id, offer_id, rep_id, trace, at, at
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
                AS row(mail_id, lead_id, offer_id, rep_id, trace, at)""",
        [uuid7() for _ in told],
        [lead.lead_id for lead, _ in told],
        [offer.offer_id for _, offer in told],
        [offer.rep_id for _, offer in told],
        [lead.cause.trace for lead, _ in told],
        [offer.offered_at for _, offer in told],
    )
