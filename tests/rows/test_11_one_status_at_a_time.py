"""A lead has one stage; only legal moves happen, and each is published."""

from __future__ import annotations

import json

from tests.support.installation import Installation


def test_an_illegal_move_is_refused_with_the_owner_and_a_legal_one_is_published(
    inst: Installation, rep: str, person: str
) -> None:
    lead = inst.submit(email=person, activity={"type": "demo_requested"})
    inst.until_stage(lead, "handed_over")
    with inst.api("scoring") as scoring:
        refused = scoring.post(f"/v1/leads/{lead}/stage", json={"to": "mql", "reason": "manual"})
    assert (refused.status_code, refused.json()["owner"]) == (409, "handover")
    with inst.api("handover") as handover:
        backwards = handover.post(f"/v1/leads/{lead}/stage", json={"to": "iql", "reason": "manual"})
    assert backwards.status_code == 409
    since = {"since": "2020-01-01T00:00:00Z"}
    with inst.api("handover") as client, client.stream("GET", "/v1/events", params=since) as feed:
        moves = []
        for line in feed.iter_lines():
            if line.startswith("data:") and lead in line:
                event = json.loads(line[5:])
                if event["type"] == "io.leadline.stage.changed.v1":
                    moves.append((event["data"]["from"], event["data"]["to"], event["data"]["seq"]))
            if moves and moves[-1][1] == "handed_over":
                break
    assert moves == [
        (None, "captured", 1),
        ("captured", "registered", 2),
        ("registered", "sql", 3),
        ("sql", "handed_over", 4),
    ]
