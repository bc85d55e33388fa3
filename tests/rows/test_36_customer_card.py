"""What is known of a lead is on one card: contact points, answers, consent, where it came from."""

from __future__ import annotations

from tests.support.installation import Installation


def test_the_card_keeps_answers_consent_and_the_first_touch(inst: Installation, person: str) -> None:
    lead = inst.submit(
        email=person,
        name="Mara Lindqvist",
        company="Norrvik",
        fields={"pallets": "40 to 400"},
        source={"channel": "paid", "medium": "cpc", "campaign": "winter"},
        consent={"marketing_email": {"granted": True, "text": "One mail a month."}},
        activity={"type": "form_submitted"},
    )
    inst.submit(email=person, phone="+46701740605", source={"medium": "email"}, activity={"type": "form_submitted"})
    card = inst.get("capture", f"/v1/leads/{lead}")
    assert {point["kind"]: point["value"] for point in card["contact_points"]} == {
        "email": person,
        "phone": "+46701740605",
    }
    assert card["answers"]["pallets"] == "40 to 400"
    assert card["consent"]["marketing_email"]["granted"] is True
    assert card["consent"]["marketing_email"]["text"] == "One mail a month."
    assert (card["first_touch"]["campaign"], card["last_touch"]["medium"]) == ("winter", "email")
