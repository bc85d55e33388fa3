"""Each stage of the funnel with its conversion, by source; the totals are the stage events."""

from __future__ import annotations

from tests.support.installation import Installation


def test_the_funnel_counts_a_leads_way_once_and_by_source(inst: Installation, rep: str, person: str) -> None:
    source = f"partner-{person[7:15]}"
    inst.submit(email=person, source={"source": source}, activity={"type": "page_viewed"})
    asked = inst.submit(email=f"a{person}", source={"source": source}, activity={"type": "demo_requested"})
    inst.until_stage(asked, "handed_over")

    def group() -> dict[str, tuple[int, int]]:
        found = inst.get("insights", "/v1/funnel", by="source")
        mine = next(one for one in found["groups"] if one["key"] == source)
        return {stage["stage"]: (stage["leads"], stage["now"]) for stage in mine["stages"]}

    inst.until(lambda: group()["handed_over"] == (1, 1))
    assert group()["captured"][0] == 2
    assert group()["sql"] == (1, 0)
    assert group()["accepted"] == (0, 0)
