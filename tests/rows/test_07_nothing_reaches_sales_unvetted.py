"""Most fresh leads are not ready for a salesperson's time; what is says why."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_newsletter_reader_is_not_on_the_worklist_and_a_demo_request_is_with_its_reason(
    inst: Installation, rep: str, person: str
) -> None:
    reader = inst.submit(email=person, activity={"type": "newsletter_subscribed"})
    ready = inst.submit(email=f"x{person}", activity={"type": "demo_requested"})
    inst.until_stage(ready, "handed_over")
    items = {item["lead_id"]: item for item in inst.get("handover", "/v1/worklist", limit=200)["items"]}
    assert reader not in items
    assert "demo" in items[ready]["reason"].lower()
