"""Steady communication until ready: a journey that mails, and stops when asked."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.support.installation import Installation


def test_a_welcome_mail_goes_out_with_consent_and_one_click_stops_the_journey(inst: Installation, person: str) -> None:
    lead = inst.submit(
        email=person,
        activity={"type": "newsletter_subscribed"},
        consent={"marketing_email": {"granted": True, "text": "Write to me."}},
    )
    inst.until(lambda: [t for t in inst.get("nurture", f"/v1/leads/{lead}/touches")["items"] if t["state"] == "sent"])
    mail = inst.until(lambda: mails_to(inst, person))[0]
    link = str(mail["List-Unsubscribe"]).split("<")[1].split(">")[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = link.split(str(inst.ports["nurture"]), 1)[1]
    with inst.public("nurture") as browser:
        assert browser.get(path).status_code == 200
        assert inst.get("capture", f"/v1/leads/{lead}")["consent"]["marketing_email"]["granted"] is True
        assert browser.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    inst.until(lambda: inst.get("capture", f"/v1/leads/{lead}")["consent"]["marketing_email"]["granted"] is False)


def test_without_consent_nothing_is_mailed_and_the_reason_is_said(inst: Installation, person: str) -> None:
    lead = inst.submit(email=person, activity={"type": "newsletter_subscribed"})
    inst.until(lambda: inst.stage_of(lead) in ("registered", "iql"))
    assert mails_to(inst, person) == []


def mails_to(inst: Installation, address: str) -> list[EmailMessage]:
    """The mails in the folder that takes them where no mail server is set."""
    found = []
    for file in sorted(inst.data_dir.rglob("*.eml")):
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        if address in str(mail["To"]):
            found.append(mail)
    return found
