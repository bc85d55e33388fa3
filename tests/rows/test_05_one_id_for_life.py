"""A stranger becomes a lead and a customer under one id, and the whole life can be read."""

from __future__ import annotations

from tests.support.installation import Installation


def test_the_timeline_tells_the_whole_life_under_one_id(inst: Installation, rep: str, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "asset_downloaded", "asset": "checklist"})
    again = inst.submit(email=person.upper(), activity={"type": "demo_requested"})
    assert again == lead
    inst.until_stage(lead, "handed_over")
    inst.post("handover", f"/v1/leads/{lead}/accept", {"rep": rep_of(inst, lead)})
    inst.post("handover", f"/v1/leads/{lead}/outcome", {"outcome": "won", "value": "950.00", "currency": "EUR"})
    inst.until_stage(lead, "customer")

    def told() -> bool:
        summaries = " ".join(item["summary"] for item in inst.get("insights", f"/v1/leads/{lead}/timeline")["items"])
        return "checklist" in summaries and "Asked for a demo" in summaries and "customer" in summaries

    inst.until(told)


def rep_of(inst: Installation, lead: str) -> str:
    items = inst.get("handover", "/v1/worklist", limit=200)["items"]
    return str(next(item["owner"] for item in items if item["lead_id"] == lead))
