"""What the end of a restore makes of leads of which not all could be heard again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from deploy.restore import COMEBACKS, finish
from shared.clock import uuid7
from shared.service import Runtime
from tests.support.sales import Told, add_rep, hear, moves, offer_all
from tests.support.set_clock import SetClock


async def test_a_lead_on_offer_to_nobody_known_is_offered_again(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    rep = await add_rep(api, "Ann")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo(), lead.moved("handed_over", "offered"))
    assert await finish(runtime, COMEBACKS["handover"], [lead.lead_id]) == "0 leads are with a rep."
    assert await moves(runtime, lead.lead_id) == [("sql", "expired")]
    await offer_all(runtime)
    assert await _owner(runtime, lead) == UUID(rep)


async def test_what_was_learned_meanwhile_is_decided_on_and_nobody_is_told_what_the_worklist_shows(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await add_rep(api, "Ann")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    async with runtime.database.transaction() as connection:
        # As the quiet hearing leaves it: known, and not yet acted on.
        await connection.execute(
            """UPDATE handover.lead SET rest = jsonb_set(rest, '{facts,purchase}',
                jsonb_build_object('seq', 2, 'value', '50.00', 'currency', 'EUR', 'at', now()))"""
        )
        await connection.execute("UPDATE handover.offer SET rep_id = $1", uuid7())
    told = await finish(runtime, COMEBACKS["handover"], [lead.lead_id])
    assert told == "0 leads are with a rep. Reps added after the backup: 1; give them their names again."
    assert (await moves(runtime, lead.lead_id))[-1] == ("customer", "purchase")
    async with runtime.database.connection() as connection:
        assert await connection.fetchval("SELECT state FROM handover.mail") == "dropped"
        stranger = await connection.fetchrow(
            "SELECT name, active FROM handover.rep WHERE email LIKE '%unknown.invalid'"
        )
    assert tuple(stranger) == ("Added after the backup", False)


async def _owner(runtime: Runtime[Any], lead: Told) -> UUID:
    async with runtime.database.connection() as connection:
        return await connection.fetchval("SELECT owner FROM handover.lead WHERE lead_id = $1", lead.lead_id)
