"""Variables for every template, as the service that renders it gives them. People and companies are invented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

NOW = datetime(2026, 11, 17, 13, 32, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """One way a template is rendered; `state` tells it from others of the same template."""

    service: str
    template: str
    variables: dict[str, object]
    state: str = ""

    @property
    def id(self) -> str:
        return f"{self.service}/{self.template}" + (f" {self.state}" if self.state else "")

    def but(self, state: str, /, **changes: object) -> Sample:
        return Sample(self.service, self.template, {**self.variables, **changes}, state)


DEMO = Sample(
    "capture",
    "demo.html",
    {
        "site_key": "pk_demo",
        "submission_id": "019a2b3c-0000-7000-8000-000000000001",
        "visitor_id": "",
        "source": {"channel": "web", "medium": "cpc", "url": "http://127.0.0.1:8001/demo", "referrer": ""},
        "values": {},
        "errors": {},
        "action": "/v1/leads?site=pk_demo",
        "thanks": "/demo/thanks",
    },
)
CAPTURE = (
    DEMO,
    DEMO.but(
        "with an answer to mend",
        values={
            "name": "Bruno Keller",
            "company": "Alpenfrisch Transport",
            "email": "bruno.keller@example",
            "phone": "+49 171 39200 42",
            "fields.pallets_a_week": "40_to_400",
            "consent.contact": "on",
        },
        errors={"email": {"text": "That address has no ending.", "proposal": "bruno.keller@example.com"}},
    ),
    DEMO.but("that was not taken", errors={"form": {"text": "We cannot take answers just now.", "proposal": None}}),
    Sample("capture", "thanks.html", {}),
    Sample("capture", "copy.html", {"address": "http://127.0.0.1:8001", "site_key": "pk_demo"}),
    Sample(
        "capture",
        "form_error.html",
        {
            "problems": [{"name": "email", "text": "there is no @ in it"}],
            "detail": "",
            "back": "https://www.alpenfrisch.example/contact",
        },
    ),
    Sample(
        "capture", "form_error.html", {"problems": [], "detail": "The form is too large.", "back": ""}, "of the whole"
    ),
)

_OFFER = {
    "who": "Mara L., head of operations",
    "organization": "Norrvik Logistics, 340 staff, Gothenburg",
    "stage": "handed_over",
    "temperature": "hot",
    "score": 84.0,
    "wants": "Demo of freight loggers, this winter",
    "why": "Asked for a demo 42 seconds ago, after looking at prices four times",
    "why_you": "Swedish, freight; room for 5 more",
}
_DANIEL = {"name": "Daniel Osei", "first_name": "Daniel"}
OFFER = Sample(
    "handover",
    "offer.html",
    {
        "state": "open",
        "company": "Tarn Sensors",
        "rep": _DANIEL,
        "now": NOW,
        "offer": _OFFER,
        "deadline": NOW + timedelta(minutes=15),
        "reasons": [
            {"code": "bad_timing", "label": "No time before the deadline"},
            {"code": "wrong_contact", "label": "Wrong product or region"},
            {"code": "no_need", "label": "I know them: not a fit"},
        ],
        "values": {},
        "error": "",
        "accept_url": "/offers/eyJvIjoxfQ.c2ln/accept",
        "return_url": "/offers/eyJvIjoxfQ.c2ln/return",
        "contact": None,
        "due": None,
        "ended": None,
        "worklist": "",
        "not_you": "mailto:hanne@example.com",
    },
    "open",
)
OFFER_MAIL: dict[str, object] = {
    "company": "Tarn Sensors",
    "rep": _DANIEL,
    "now": NOW,
    "offer": _OFFER,
    "phone": "+46 70 174 06 42",
    "deadline": NOW + timedelta(minutes=15),
    "link": "http://127.0.0.1:8004/offers/eyJvIjoxfQ.c2ln",
    "worklist": "http://127.0.0.1:8004/worklist",
}
HANDOVER = (
    OFFER,
    OFFER.but(
        "open, returned without a reason",
        error="Please say why, so that the next rep knows.",
        values={"note": "Norway is Ingrid’s. They ship from Oslo."},
        offer={**_OFFER, "temperature": "", "score": None, "wants": "", "why_you": ""},
    ),
    OFFER.but(
        "accepted",
        state="accepted",
        offer={**_OFFER, "stage": "accepted"},
        deadline=None,
        contact={"name": "Mara Lindqvist", "phone": "+46 70 174 06 42", "email": "mara.lindqvist@example.com"},
        due=NOW + timedelta(minutes=14),
        worklist="/worklist",
    ),
    OFFER.but("returned", state="returned", worklist="/worklist"),
    OFFER.but(
        "over",
        state="over",
        offer=None,
        ended={"at": NOW, "how": "Ingrid Moe took the lead at 14:49."},
        worklist="/worklist",
    ),
    OFFER.but("over, nothing known", state="over", offer=None, deadline=None),
    Sample("handover", "offer_mail.txt", OFFER_MAIL),
    Sample("handover", "offer_mail.html", OFFER_MAIL),
)

SAMPLES = (*CAPTURE, *HANDOVER)


ATTACK = "\"'><hostile onmouseover=steal()></hostile></script><script>steal()</script>\r\nBcc: all@example.com"


def hostile(value: object, key: str = "") -> object:
    """The value with every text in it made into an attack, except the codes that choose what a page shows."""
    if isinstance(value, dict):
        texts = cast("dict[str, object]", value)
        return {name: hostile(inner, name) for name, inner in texts.items()}
    if isinstance(value, list):
        return [hostile(inner, key) for inner in cast("list[object]", value)]
    if isinstance(value, str) and key not in ("state", "stage", "current"):
        return (
            value
            + "\"'><hostile onmouseover=steal()></hostile></script><script>steal()</script>\r\nBcc: all@example.com"
        )
    return value
