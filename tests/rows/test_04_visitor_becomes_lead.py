"""A visitor only browsed; with the first conversion the visits belong to the lead."""

from __future__ import annotations

from uuid import uuid4

from tests.support.installation import Installation


def test_visits_before_the_first_form_are_on_the_leads_timeline(inst: Installation, person: str) -> None:
    visitor = f"v-{uuid4()}"
    with inst.public("capture") as site:
        seen = site.post(
            "/v1/activities",
            json={
                "activities": [{"visitor_id": visitor, "type": "pricing_viewed", "url": "https://tarn.example/prices"}]
            },
            headers={"X-Site-Key": "pk_demo"},
        )
    assert (seen.status_code, seen.json()["accepted"]) == (202, 1)
    lead = inst.submit(email=person, visitor_id=visitor, activity={"type": "form_submitted"})
    inst.until(
        lambda: [
            item for item in inst.get("insights", f"/v1/leads/{lead}/timeline")["items"] if "price" in item["summary"]
        ]
    )
    inst.until(
        lambda: (
            "looked_at_prices" in [entry["rule"] for entry in inst.get("scoring", f"/v1/leads/{lead}/score")["entries"]]
        )
    )
