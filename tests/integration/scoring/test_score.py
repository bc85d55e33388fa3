from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx

from shared.clock import SetClock
from shared.service import Runtime
from tests.support.scored_leads import Heard, hear


async def test_a_demo_request_makes_a_lead_ready_for_sales_at_once_and_its_score_adds_up(
    runtime: Runtime[Any], api: httpx.AsyncClient, lead: Heard, clock: SetClock
) -> None:
    await hear(
        runtime,
        lead.card(company="Norrvik", answers={"role": "Head of Logistics", "company_size": "51-200"}),
        lead.moved("captured", "first_interest"),
        lead.did("demo_requested", contact_valid=True),
        lead.moved("registered", "contact_valid", asked_for="demo_requested"),
    )

    score = (await api.get(f"/v1/leads/{lead.lead_id}/score")).json()

    assert (score["stage"], score["temperature"], score["grade"], score["cycle"]) == ("sql", "hot", "A", 1)
    assert score["score"] == 95.0
    assert sum(Decimal(str(entry["points"])) for entry in score["entries"]) == Decimal("95")
