"""Spam is quarantined with its reason, and a mistake can be released."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_filled_honeypot_is_quarantined_unseen_by_the_sender_and_can_be_released(
    inst: Installation, person: str
) -> None:
    with inst.public("capture") as bot:
        answer = bot.post(
            "/v1/leads",
            json={"email": person, "website": "https://spam.example", "activity": {"type": "form_submitted"}},
            headers={"X-Site-Key": "pk_demo"},
        )
    assert answer.status_code == 202
    assert set(answer.json()) == {"submission_id"}
    kept = inst.get("capture", "/v1/quarantine")["items"]
    mine = next(item for item in kept if item["submission_id"] == answer.json()["submission_id"])
    assert "honeypot" in mine["reason"]
    assert inst.get("insights", "/v1/leads", q=person)["items"] == []
    inst.post("capture", f"/v1/quarantine/{mine['submission_id']}/release")
    inst.until(lambda: inst.get("insights", "/v1/leads", q=person)["items"])
