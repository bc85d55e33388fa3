"""Content and newsletter, low intent: information-qualified."""

from __future__ import annotations

from tests.support.installation import Installation


def test_a_download_makes_an_iql(inst: Installation, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "asset_downloaded", "asset": "audit-checklist"})
    inst.until_stage(lead, "iql")
