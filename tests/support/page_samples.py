"""Variables for every template, as the service that renders it gives them. People and companies are invented."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from tests.support.page_sample import NOW, Row, Sample
from tests.support.samples_of_a_lead import OF_A_LEAD
from tests.support.samples_of_lists import LISTS
from tests.support.samples_of_papers import PAPERS

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
    Sample("capture", "front.html", {"demo": True, "console": "http://127.0.0.1:8005"}),
    Sample("capture", "thanks.html", {}),
    Sample("capture", "received.html", {}),
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

WORKLIST = Sample(
    "handover",
    "worklist.html",
    {
        "company": "Tarn Sensors",
        "rep": {**_DANIEL, "initials": "DO"},
        "now": NOW,
        "next": {
            "lead_id": "0198c5f2-0000-7000-8000-000000000042",
            "who": "Mara L.",
            "organization": "Norrvik Logistics",
            "stage": "handed_over",
            "temperature": "hot",
            "score": 84.0,
            "why": "Asked for a demo 42 seconds ago, after looking at prices four times.",
            "said": "Two reefers lost in September, we need proof per pallet.",
            "phone": "",
            "email": "",
            "due": NOW + timedelta(minutes=14),
            "state": "offered",
            "accept_url": "/offers/eyJvIjoxfQ.c2ln/accept",
            "return_url": "/offers/eyJvIjoxfQ.c2ln",
        },
        "others": [
            {
                "who": "Petra Nowak",
                "organization": "Chłodnia Wisła",
                "why": "Called in, 6 min, wants 200 loggers",
                "temperature": "hot",
                "due": NOW + timedelta(minutes=20),
                "address": "/offers/eyJvIjoyfQ.c2ln",
            },
            {
                "who": "Joana Pires",
                "organization": "",
                "why": "Asked for a call at 14:30",
                "temperature": "warm",
                "due": NOW - timedelta(minutes=2),
                "address": "/offers/eyJvIjozfQ.c2ln",
            },
        ],
        "total": 3,
    },
)
_ACCEPTED = {"phone": "+46 70 174 06 42", "email": "mara@example.com", "state": "accepted", "stage": "accepted"}
WORKLISTS = (
    WORKLIST,
    WORKLIST.but(
        "with a late first contact",
        next={**cast("Row", WORKLIST.variables["next"]), **_ACCEPTED, "due": NOW - timedelta(minutes=3)},
    ),
    WORKLIST.but("with nothing on it", next=None, others=[], total=0),
)

JOURNEY_MAIL: Row = {
    "company": "Tarn Sensors",
    "name": "Mara",
    "subject": "Good that you are here, Mara",
    "unsubscribe": "http://127.0.0.1:8003/u/eyJzIjoxfQ.c2ln",
}
UNSUBSCRIBE = Sample("nurture", "unsubscribe.html", {"state": "ask", "company": "Tarn Sensors", "flying": False})
NURTURE = (
    UNSUBSCRIBE,
    UNSUBSCRIBE.but("done", state="done"),
    UNSUBSCRIBE.but("done while a mail was leaving", state="done", flying=True),
    UNSUBSCRIBE.but("over", state="over"),
    Sample("nurture", "welcome.txt", JOURNEY_MAIL),
    Sample("nurture", "welcome.html", JOURNEY_MAIL),
    Sample("nurture", "second.txt", JOURNEY_MAIL),
    Sample("nurture", "second.html", JOURNEY_MAIL),
    Sample("nurture", "second.html", {**JOURNEY_MAIL, "name": ""}, "to somebody without a name"),
)

SAMPLES = (*CAPTURE, *HANDOVER, *WORKLISTS, *LISTS, *OF_A_LEAD, *PAPERS, *NURTURE)


ATTACK = "\"'><hostile onmouseover=steal()></hostile></script><script>steal()</script>\r\nBcc: all@example.com"


def hostile(value: object, key: str = "") -> object:
    """The value with every text in it made into an attack, except the codes that choose what a page shows."""
    if isinstance(value, dict):
        texts = cast("Row", value)
        return {name: hostile(inner, name) for name, inner in texts.items()}
    if isinstance(value, list):
        return [hostile(inner, key) for inner in cast("list[object]", value)]
    if isinstance(value, str) and key not in ("state", "stage", "current"):
        return (
            value
            + "\"'><hostile onmouseover=steal()></hostile></script><script>steal()</script>\r\nBcc: all@example.com"
        )
    return value


def with_address(sample: Sample, email: str) -> Sample:
    """The sample of somebody who has that e-mail address, where they have one."""
    changed = {name: _addressed(value, email, name) for name, value in sample.variables.items()}
    return Sample(sample.service, sample.template, changed)


def _addressed(value: object, email: str, key: str) -> object:
    if isinstance(value, dict):
        return {name: _addressed(inner, email, name) for name, inner in cast("Row", value).items()}
    if isinstance(value, list):
        return [_addressed(inner, email, key) for inner in cast("list[object]", value)]
    return email if key == "email" and value else value
