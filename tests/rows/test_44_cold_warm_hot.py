"""Temperature follows intent and recency."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_reader_is_cold_or_warm_and_who_asks_is_hot(inst: Installation, rep: str, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "page_viewed"})
    inst.until(lambda: inst.get("scoring", f"/v1/leads/{lead}/score")["temperature"] == "cold")
    inst.submit(email=person, activity={"type": "asset_downloaded"})
    inst.submit(email=person, activity={"type": "webinar_registered"})
    inst.until(lambda: inst.get("scoring", f"/v1/leads/{lead}/score")["temperature"] == "warm")
    inst.submit(email=person, activity={"type": "demo_requested"})
    inst.until(lambda: inst.get("scoring", f"/v1/leads/{lead}/score")["temperature"] == "hot")
