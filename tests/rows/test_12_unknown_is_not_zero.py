"""Before there is evidence fit is unknown, which is not the same as none."""

from __future__ import annotations

from uuid import uuid4

from tests.support.installation import Installation


def test_fit_without_evidence_is_unknown(inst: Installation) -> None:
    lead = inst.submit(phone=f"+4670{uuid4().int % 10**7:07d}", activity={"type": "form_submitted"})
    found = inst.until(lambda: inst.get("scoring", f"/v1/leads/{lead}/score"))
    assert found["grade"] == "unknown"
