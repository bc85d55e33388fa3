"""The worklist shows the hottest lead first, with the reason."""

from __future__ import annotations

from tests.support.installation import Installation


def test_the_worklist_is_ordered_by_heat(inst: Installation, rep: str, person: str) -> None:
    warm = inst.submit(email=person, activity={"type": "contact_requested"})
    about = {"company": "Norrvik", "fields": {"role": "head of operations", "company_size": "51-200"}}
    hot = inst.submit(email=f"h{person}", activity={"type": "demo_requested"}, **about)
    inst.submit(email=f"h{person}", activity={"type": "pricing_viewed"})
    inst.until_stage(warm, "handed_over")
    inst.until_stage(hot, "handed_over")

    def order() -> bool:
        items = inst.get("handover", "/v1/worklist", limit=200)["items"]
        ids = [item["lead_id"] for item in items]
        heat = [({"hot": 2, "warm": 1}.get(item["temperature"], 0), item["score"]) for item in items]
        return ids.index(hot) < ids.index(warm) and heat == sorted(heat, reverse=True)

    inst.until(order)
