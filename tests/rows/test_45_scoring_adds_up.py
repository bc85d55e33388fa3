"""Every point has its rule and reason, and the score is their sum, now and at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.installation import Installation


def test_the_entries_add_up_to_the_score_now_and_later(inst: Installation, person: str) -> None:
    past = datetime.now(UTC) - timedelta(days=60)
    lead = inst.submit(email=person, company="Norrvik", activity={"type": "form_submitted", "at": past.isoformat()})
    for kind in ("asset_downloaded", "pricing_viewed", "webinar_registered"):
        inst.submit(email=person, activity={"type": kind, "at": past.isoformat()})
    inst.until(lambda: len(inst.get("scoring", f"/v1/leads/{lead}/score")["entries"]) >= 6)
    now = inst.get("scoring", f"/v1/leads/{lead}/score")
    then = inst.get("scoring", f"/v1/leads/{lead}/score", as_of=(past + timedelta(minutes=1)).isoformat())
    for score in (now, then):
        assert sum(Decimal(str(entry["points"])) for entry in score["entries"]) == Decimal(str(score["score"]))
        assert all(entry["reason"] and entry["rule"] for entry in score["entries"])
    assert now["score"] < then["score"]
