"""A lead is forgotten: its card becomes a tombstone, and every service says when it has nothing of it any more."""

from __future__ import annotations

from uuid import UUID

from services.capture import identities
from services.capture.repository import Record, save_erasures
from shared.clock import uuid7
from shared.errors import NotFound
from shared.events.capture import CardErased
from shared.events.envelope import Actor
from shared.events.privacy import ErasureDone
from shared.leads import Cause, Leads
from shared.trace import traceparent


async def erase(leads: Leads[Record], lead_id: UUID) -> UUID:
    """The id of the erasure; of the first one, when it is asked for again. Raises `NotFound`."""
    async with leads.database.transaction() as connection:
        now = leads.clock.now()
        await identities.lock(connection, lead_id)
        cause = Cause(time=now, actor=Actor("person"), trace=traceparent())
        work = await leads.open(connection, [lead_id], cause, now, create=False)
        lead = work.leads.get(lead_id)
        if lead is None or lead.standing.stage is None:
            raise NotFound("no such lead")
        if lead.standing.erased:
            return await connection.fetchval("SELECT erasure_id FROM capture.erasure WHERE lead_id = $1", lead_id)
        erasure_id = uuid7()
        await connection.execute("INSERT INTO capture.erasure VALUES ($1, $2, $3)", erasure_id, lead_id, now)
        lead.standing.card_version += 1
        lead.say(CardErased(erasure_id=str(erasure_id)))
        lead.standing.erased, lead.erasing = True, str(erasure_id)
        await leads.save(work)
        # The others tell of themselves; what it says itself a service does not hear.
        done = [(said.data, said.time) for said in lead.saying if isinstance(said.data, ErasureDone)]
        await save_erasures(connection, done)
        return erasure_id
