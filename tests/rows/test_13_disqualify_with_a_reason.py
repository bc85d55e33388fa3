"""Not every lead qualifies; the reason is mandatory, reported and can be taken back."""

from __future__ import annotations

from tests.support.installation import Installation


def test_disqualifying_needs_a_known_reason_and_can_be_released(inst: Installation, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "newsletter_subscribed"})
    inst.until(lambda: inst.stage_of(lead) in ("registered", "iql"))
    with inst.api("scoring") as scoring:
        assert scoring.post(f"/v1/leads/{lead}/stage", json={"to": "disqualified"}).status_code == 422
        wrong = scoring.post(f"/v1/leads/{lead}/stage", json={"to": "disqualified", "reason": "because"})
        assert wrong.status_code in (409, 422)
    inst.post("scoring", f"/v1/leads/{lead}/stage", {"to": "disqualified", "reason": "not_icp"})
    inst.until_stage(lead, "disqualified")
    inst.until(
        lambda: any(
            "Not a lead" in item["summary"] or "not" in item["summary"].lower()
            for item in inst.get("insights", f"/v1/leads/{lead}/timeline")["items"]
        )
    )
    inst.post("scoring", f"/v1/leads/{lead}/stage", {"to": "registered", "reason": "released"})
    inst.until(lambda: inst.stage_of(lead) in ("registered", "iql", "mql"))
