"""A lead of a test key goes the whole way, and reaches no real rep and no figure."""

from __future__ import annotations

import json
from typing import Any

from tests.support.installation import Installation


def test_a_test_lead_is_scored_and_shown_as_one_and_offered_and_counted_nowhere(
    inst: Installation, rep: str, person: str
) -> None:
    source = f"trial-{person[7:15]}"
    asked = {"source": {"source": source}, "activity": {"type": "demo_requested"}}
    tried = inst.submit(email=person, site="pk_test_demo", **asked)
    # The same address with a real key is another lead; when sales has it, the one before has been decided on too.
    real = inst.submit(email=person, **asked)
    assert real != tried
    inst.until_stage(real, "handed_over")
    inst.until_stage(tried, "sql")

    def listed(**query: Any) -> dict[str, Any]:
        return {item["lead_id"]: item for item in inst.get("handover", "/v1/worklist", limit=200, **query)["items"]}

    def sql_leads(**query: Any) -> int:
        groups = inst.get("insights", "/v1/funnel", by="source", groups=1000, **query)["groups"]
        mine = [stage for one in groups if one["key"] == source for stage in one["stages"]]
        return sum(stage["leads"] for stage in mine if stage["stage"] == "sql")

    inst.until(lambda: tried in listed(test="true") and sql_leads(test="true") == 1)
    assert listed(test="true")[tried]["owner"] is None
    assert tried not in listed()
    assert listed()[real]["owner"]
    inst.until(lambda: sql_leads() == 1)

    with inst.api("handover") as sales, sales.stream("GET", "/v1/events", params={"since": "0"}) as feed:
        of_both: dict[str, set[str]] = {tried: set(), real: set()}
        for line in feed.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if event["subject"] in of_both:
                    of_both[event["subject"]].add(event["type"])
                    assert event.get("test", False) == (event["subject"] == tried)
            if line == "" and "io.leadline.handover.offered.v1" in of_both[real] and of_both[tried]:
                break
    assert of_both[tried] == {"io.leadline.stage.changed.v1"}
