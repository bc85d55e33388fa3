"""High intent goes straight to sales."""

from __future__ import annotations

import time

from tests.support.installation import Installation


def test_a_demo_request_is_ready_for_sales_within_a_second(inst: Installation, rep: str, person: str) -> None:
    began = time.monotonic()
    lead = inst.submit(email=person, activity={"type": "demo_requested"})
    inst.until(
        lambda: [item for item in inst.get("handover", "/v1/worklist", limit=200)["items"] if item["lead_id"] == lead]
    )
    # The promise is a second; a machine that runs the whole suite at once is given more.
    assert time.monotonic() - began < 5
