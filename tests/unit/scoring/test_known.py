from __future__ import annotations

import pytest

from services.scoring.known import details_of, known_of, mail_kind
from shared.events.capture import ActivityRecorded, CardChanged, ContactPoint, Touch
from shared.events.handover import Contacted
from shared.events.nurture import Bounced, Clicked, Opened


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        ("gmail.com", "free"),
        ("GMX.de", "free"),
        ("yahoo.co.uk", "free"),
        ("hotmail.fr", "free"),
        ("live.com.au", "free"),
        ("mailinator.com", "disposable"),
        ("norrvik.example", "business"),
        ("live.norrvik.example", "business"),
        ("outlook.norrvik.co.uk", "business"),
        ("yahoo-inc.com", "business"),
    ],
)
def test_a_mail_domain_is_free_disposable_or_a_companys(domain: str, kind: str) -> None:
    assert mail_kind(domain) == kind


def test_a_card_is_known_without_names_addresses_and_messages() -> None:
    card = CardChanged(
        version=1,
        name="Mara Lindqvist",
        company="Norrvik",
        message="Please call me",
        contact_points=[
            ContactPoint("email", "mara@norrvik.example", verified=True),
            ContactPoint("email", "mara.lindqvist@gmail.com"),
            ContactPoint("phone", "+46701740642"),
        ],
        answers={"role": "Head of Logistics", "size": ""},
        first_touch=Touch(source="google", campaign="spring"),
        language="sv",
    )
    assert known_of(card) == {
        "kind": "person",
        "company": "Norrvik",
        "language": "sv",
        "source.source": "google",
        "source.campaign": "spring",
        "answers.role": "Head of Logistics",
        "email.known": "true",
        "email.verified": "true",
        "email.domain": "norrvik.example",
        "email.kind": "business",
        "phone.known": "true",
        "phone.verified": "false",
        "phone.country": "SE",
    }


def test_what_is_not_said_of_an_activity_is_left_out() -> None:
    viewed = ActivityRecorded(activity="page_viewed", path="/docs", duration_seconds=0, contact_valid=False)
    assert details_of(viewed) == {"path": "/docs", "contact_valid": "false"}
    assert details_of(Opened(journey="j", step="s")) == {}
    assert details_of(Clicked(journey="j", step="s", link="/pricing")) == {"path": "/pricing"}
    assert details_of(Bounced(journey="j", step="s", permanent=False)) == {"outcome": "temporary"}
    assert details_of(Contacted(channel="phone", outcome="reached")) == {"channel": "phone", "outcome": "reached"}
