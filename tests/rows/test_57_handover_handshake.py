"""Offer, accept, return with a reason; two reps never hold one lead."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_rep_takes_the_lead_and_a_second_cannot(inst: Installation, rep: str, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "demo_requested"})
    inst.until_stage(lead, "handed_over")
    items = inst.get("handover", "/v1/worklist", limit=200)["items"]
    owner = next(item["owner"] for item in items if item["lead_id"] == lead)
    with inst.api("handover") as sales:
        taken = sales.post(f"/v1/leads/{lead}/accept", json={"rep": owner})
        assert taken.status_code == 200
        assert sales.post(f"/v1/leads/{lead}/accept", json={"rep": owner}).status_code == 200
        stranger = inst.post("handover", "/v1/reps", {"name": "Ines", "email": f"i{person}"})["rep_id"]
        assert sales.post(f"/v1/leads/{lead}/accept", json={"rep": stranger}).status_code == 409
        assert sales.post(f"/v1/leads/{lead}/return", json={"rep": owner}).status_code == 422
        back = sales.post(f"/v1/leads/{lead}/return", json={"rep": owner, "reason": "no_budget", "note": "In March."})
        assert back.status_code == 200
        sales.patch(f"/v1/reps/{stranger}", json={"active": False})
    inst.until_stage(lead, "returned")
    inst.submit(email=person, activity={"type": "page_viewed"})
    assert inst.stage_of(lead) == "returned"
