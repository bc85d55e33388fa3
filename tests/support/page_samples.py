"""Variables for every template, as the service that renders it gives them. People and companies are invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

from services.insights.pages.drawing import FlowBack, StageCount, draw, worst
from shared.pages.navigation import console

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

_ADDRESSES = {
    "insights": "",
    "capture": "http://127.0.0.1:8001",
    "scoring": "http://127.0.0.1:8002",
    "nurture": "http://127.0.0.1:8003",
    "handover": "http://127.0.0.1:8004",
}
_MAIN_LINE = ("captured", "registered", "iql", "mql", "sql", "handed_over", "accepted", "opportunity", "customer")


def counts(leads: Sequence[int], now: Sequence[int]) -> list[StageCount]:
    """The main line with how many leads came to each stage, and how many are in it."""
    shares = [None, *(after / before if before else None for before, after in pairwise(leads))]
    return [
        {"stage": stage, "leads": reached, "now": here, "conversion": share}
        for stage, reached, here, share in zip(_MAIN_LINE, leads, now, shares, strict=True)
    ]


STAGE_COUNTS = counts([4812, 3407, 2611, 1184, 512, 498, 431, 236, 97], [318, 964, 2870, 1402, 92, 31, 204, 148, 91])
FLOWS_BACK: list[FlowBack] = [
    {"from": "mql", "to": "iql", "leads": 164, "word": "cooled"},
    {"from": "handed_over", "to": "sql", "leads": 41, "word": "expired"},
    {"from": "accepted", "to": "mql", "leads": 38, "word": "returned"},
    {"from": "customer", "to": "registered", "leads": 23, "word": "started a new cycle"},
]


def change(seconds: int, who: str, before: str | None, to: str, reason: str) -> dict[str, object]:
    at = NOW - timedelta(seconds=seconds)
    lead = f"0198c5f2-0000-7000-8000-{seconds:012d}"
    return {"at": at, "lead_id": lead, "who": who, "from": before, "to": to, "reason": reason}


HOME = Sample(
    "insights",
    "home.html",
    {
        "console": console("home", _ADDRESSES, "Tarn Sensors"),
        "now": NOW,
        "funnel": {
            "as_of": NOW - timedelta(seconds=2),
            "stages": STAGE_COUNTS,
            "groups": [
                {"source": "search ads", "stages": counts([1803, 1390, 1004, 520, 153, 150, 140, 90, 40], [0] * 9)},
                {"source": "webinar", "stages": counts([903, 702, 610, 301, 77, 76, 70, 44, 20], [0] * 9)},
                {"source": "", "stages": counts([2103, 1312, 995, 362, 281, 271, 221, 102, 37], [0] * 9)},
                {"source": "referral", "stages": counts([3, 3, 2, 1, 1, 1, 0, 0, 0], [0] * 9)},
            ],
            "back": FLOWS_BACK,
            "left": {"disqualified": 689, "lost": 64},
        },
        "drawing": draw(STAGE_COUNTS, FLOWS_BACK),
        "worst": worst(STAGE_COUNTS),
        "changes": [
            change(2, "Mara Lindqvist", "mql", "sql", "Asked for a demo"),
            change(16, "Teo Abara", "handed_over", "accepted", "Daniel Osei took it"),
            change(28, "Web visitor 8f2c", None, "captured", "Signed up: spoilage claims"),
            change(51, "Ines Carvalho", "registered", "iql", "Audit checklist"),
            change(70, "Jonas Weidlich", "accepted", "returned", "Budget in March"),
            change(97, "Aiko Tanabe", "opportunity", "customer", "Order, € 18,400"),
            change(269, "Test form", "captured", "disqualified", "Own test"),
        ],
    },
)
_NOTHING = counts([0] * 9, [0] * 9)
INSIGHTS = (
    HOME,
    HOME.but(
        "on the first day",
        funnel={"as_of": NOW, "stages": _NOTHING, "groups": [], "back": [], "left": {"disqualified": 0, "lost": 0}},
        drawing=draw(_NOTHING, []),
        worst=worst(_NOTHING),
        changes=[],
    ),
)

SAMPLES = (*CAPTURE, *HANDOVER, *INSIGHTS)


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
