"""Engaged and fitting without the wish to buy: marketing-qualified."""

from __future__ import annotations

from tests.support.installation import Installation


def test_fit_and_engagement_together_make_an_mql(inst: Installation, person: str) -> None:
    about = {"company": "Norrvik", "fields": {"role": "manager of operations", "company_size": "51-200"}}
    lead = inst.submit(email=person, activity={"type": "asset_downloaded"}, **about)
    inst.submit(email=person, activity={"type": "webinar_registered"})
    inst.submit(email=person, activity={"type": "webinar_attended"})
    inst.until_stage(lead, "mql")
