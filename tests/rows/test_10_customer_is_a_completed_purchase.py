"""A purchase with value and currency makes a customer, from whatever stage."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_purchase_makes_a_customer_at_once(inst: Installation, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "form_submitted"})
    inst.submit(email=person, activity={"type": "purchase", "value": "129.90", "currency": "EUR"})
    inst.until_stage(lead, "customer")
    inst.until(
        lambda: any("129.90" in item["summary"] for item in inst.get("insights", f"/v1/leads/{lead}/timeline")["items"])
    )


def test_a_purchase_without_its_currency_or_with_a_wrong_one_is_refused(inst: Installation, person: str) -> None:
    with inst.api("capture") as capture:
        answer = capture.post(
            "/v1/leads",
            json={
                "email": person,
                "site": "demo",
                "activity": {"type": "purchase", "value": "12", "currency": "euros"},
            },
        )
    assert answer.status_code == 422
    assert any("currency" in problem["pointer"] for problem in answer.json()["errors"])
