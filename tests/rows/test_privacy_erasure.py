"""Erasure is not a stage: whoever holds something of the person removes it, and a report says what and where."""

from __future__ import annotations

from tests.support.installation import Installation


def test_after_an_erasure_nothing_of_the_person_is_left_and_the_report_names_all_five(
    inst: Installation, rep: str, person: str
) -> None:
    lead = inst.submit(email=person, name="Canary Keepsake", phone="+46701740605", activity={"type": "demo_requested"})
    inst.until_stage(lead, "handed_over")
    inst.until(lambda: kept(inst, "Canary Keepsake"))
    with inst.api("capture") as capture:
        asked = capture.delete(f"/v1/leads/{lead}")
    assert asked.status_code == 202
    inst.until(lambda: len(inst.get("capture", f"/v1/erasures/{asked.json()['erasure_id']}")["services"]) == 5, 20)
    assert not kept(inst, "Canary Keepsake")
    assert not kept(inst, person)
    assert inst.get("insights", "/v1/leads", q=person)["items"] == []
    with inst.api("capture") as capture:
        assert capture.get(f"/v1/leads/{lead}").status_code == 404
    assert inst.submit(email=person, activity={"type": "form_submitted"}) != lead


def kept(inst: Installation, words: str) -> list[str]:
    """The files of the installation, mails and its log, in which these words stand."""
    files = [*inst.data_dir.rglob("*.eml"), inst.log]
    return [file.name for file in files if words in file.read_text(errors="replace")]
