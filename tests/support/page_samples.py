"""Variables for every template, as the service that renders it gives them. People and companies are invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

from services.insights.navigation import Console, console
from services.insights.pages.drawing import FlowBack, StageCount, draw, worst
from services.insights.session import AT_THIS_MACHINE, Visitor
from shared.keys import SCOPES, Key, Role

Row = dict[str, object]

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

_ADDRESSES = {
    "insights": "",
    "capture": "http://127.0.0.1:8001",
    "scoring": "http://127.0.0.1:8002",
    "nurture": "http://127.0.0.1:8003",
    "handover": "http://127.0.0.1:8004",
}


def frame(place: str, role: Role = Role.lead_manager) -> Console:
    """As somebody in that role sees it."""
    visitor = Visitor(Key("a_1", "", "", SCOPES[role]), role, "hanne.vestergren")
    return console(place, _ADDRESSES, "Tarn Sensors", AT_THIS_MACHINE if role is Role.reader else visitor)


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


def change(seconds: int, who: str, before: str | None, to: str, reason: str) -> Row:
    at = NOW - timedelta(seconds=seconds)
    lead = f"0198c5f2-0000-7000-8000-{seconds:012d}"
    return {"at": at, "lead_id": lead, "who": who, "from": before, "to": to, "reason": reason}


HOME = Sample(
    "insights",
    "home.html",
    {
        "console": frame("home", Role.reader),
        "now": NOW,
        "funnel": {
            "as_of": NOW - timedelta(seconds=2),
            "stages": STAGE_COUNTS,
            "groups": [
                {"key": "search ads", "stages": counts([1803, 1390, 1004, 520, 153, 150, 140, 90, 40], [0] * 9)},
                {"key": "webinar", "stages": counts([903, 702, 610, 301, 77, 76, 70, 44, 20], [0] * 9)},
                {"key": "", "stages": counts([2103, 1312, 995, 362, 281, 271, 221, 102, 37], [0] * 9)},
                {"key": "referral", "stages": counts([3, 3, 2, 1, 1, 1, 0, 0, 0], [0] * 9)},
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


def row(
    who: str, organization: str, stage: str, temperature: str, score: float | None, **more: object
) -> dict[str, object]:
    return {
        "lead_id": "0198c5f2-0000-7000-8000-000000000042",
        "who": who,
        "organization": organization,
        "stage": stage,
        "temperature": temperature,
        "score": score,
        "fit": "A",
        "source": "search ads",
        "owner": "",
        "seen": NOW - timedelta(minutes=3),
        **more,
    }


LEADS = Sample(
    "insights",
    "leads.html",
    {
        "console": frame("leads"),
        "now": NOW,
        "as_of": NOW - timedelta(seconds=1),
        "leads": [
            row("Mara Lindqvist", "Norrvik Logistics", "sql", "hot", 84.0, owner="Daniel Osei", seen=NOW),
            row("Teo Abara", "Halden Foods", "accepted", "hot", 76.2, fit="B", source="referral", owner="Daniel Osei"),
            row("Jonas Weidlich", "Kühlwerk Süd", "returned", "warm", 39.0, seen=NOW - timedelta(hours=30)),
            row("Luca Ferrante", "Latteria Alta", "iql", "cold", 24.0, source="", seen=NOW - timedelta(days=34)),
            row("r.ek@example.com", "", "registered", "", None, fit="", seen=None),
        ],
        "q": "",
        "stage": "",
        "total": 412,
        "first": 1,
        "back_url": "",
        "next_url": "/leads?after=c3d",
        "elsewhere": None,
    },
)


def entry(points: float, reason: str, rule: str, days: int, kind: str = "engagement") -> Row:
    return {"points": points, "reason": reason, "rule": rule, "at": NOW - timedelta(days=days), "kind": kind}


def item(ago: timedelta, source: str, summary: str, detail: str = "", **more: object) -> Row:
    told: Row = {"type": source, "from": None, "to": None, "points": None, **more}
    return {"at": NOW - ago, "source": source, "summary": summary, "detail": detail, **told}


CHOICES = {
    "returns": {"bad_timing": "The time is wrong", "no_need": "Has no need"},
    "lost": {"competitor": "Went to a competitor"},
    "currency": "EUR",
}
LEAD = Sample(
    "insights",
    "lead.html",
    {
        "console": frame("leads"),
        "now": NOW,
        "as_of": NOW - timedelta(seconds=1),
        "lead": {
            "lead_id": "0198c5f2-0000-7000-8000-000000000042",
            "who": "Mara Lindqvist",
            "initials": "ML",
            "role": "Head of operations",
            "organization": "Norrvik Logistics",
            "email": "mara.lindqvist@example.com",
            "phone": "+46 70 174 06 42",
            "cycle": 2,
            "stage": "sql",
            "temperature": "hot",
            "owner": "Daniel Osei",
            "due": NOW + timedelta(minutes=15),
            "source": "search ads",
            "test": False,
        },
        "score": {
            "score": 67.8,
            "fit": 22.0,
            "engagement": 45.8,
            "grade": "A",
            "rule_version": 17,
            "entries": [
                entry(40.0, "Asked for a demo", "Demo requested", 0),
                entry(8.9, "Looked at prices 3 times", "Pricing pages", 3),
                entry(-3.1, "Read the careers page twice", "Looks for a job", 9),
                entry(12.0, "340 staff; wanted: 50 to 500", "profile Chilled freight v4", 29, "fit"),
                entry(10.0, "Heads a department", "from the form", 0, "fit"),
            ],
        },
        "timeline": [
            item(timedelta(0), "handover", "Next in line: Daniel Osei", "Swedish, freight loggers, 3 of 8 open"),
            item(timedelta(seconds=2), "scoring", "Asked for a demo", "Rule Fast track", to="sql", **{"from": "mql"}),
            item(timedelta(seconds=3), "capture", "Sent the form Request a demo", points=40.0),
            item(timedelta(days=3), "capture", "Looked at prices 3 times", points=12.0),
            item(timedelta(days=7), "nurture", "Opened mail 4 of 7", "What a broken chain costs", points=1.5),
            item(timedelta(days=29), "capture", "Wrote for the first time", to="captured"),
        ],
        "consents": [
            {"purpose": "contact", "granted": True, "at": NOW, "text": "You may call or write to me about this demo."},
            {"purpose": "marketing", "granted": False, "at": NOW - timedelta(days=260), "text": ""},
        ],
        "stays": [
            {"stage": "captured", "entered": NOW - timedelta(days=29, minutes=4), "left": NOW - timedelta(days=29)},
            {"stage": "registered", "entered": NOW - timedelta(days=29), "left": NOW - timedelta(days=18, hours=4)},
            {"stage": "sql", "entered": NOW - timedelta(seconds=2), "left": None},
        ],
        "card": {
            "points": [
                {"kind": "email", "value": "mara.lindqvist@example.com", "verified": True},
                {"kind": "phone", "value": "+46 70 174 06 42", "verified": False},
            ],
            "answers": {"Pallets a week": "40 to 400"},
            "message": "Two reefers lost in September, we need proof per pallet.",
            "first": "search ads, google, cpc",
            "last": "newsletter, email",
            "site": "web-se",
            "product": "Freight loggers",
            "created_at": NOW - timedelta(days=29),
        },
        "offers": [
            {
                "rep": "Ingrid Moe",
                "became": "returned it",
                "kind": "plain",
                "reason": "The time is wrong",
                "at": NOW - timedelta(days=1),
                "due": None,
            },
            {
                "rep": "Daniel Osei",
                "became": "asked",
                "kind": "note",
                "reason": "",
                "at": NOW,
                "due": NOW + timedelta(minutes=15),
            },
        ],
        "asked": "",
        "choices": CHOICES,
        "problem": "",
        "problems": {"score": "", "card": "", "offers": ""},
        "last_url": "/leads/0198c5f2-0000-7000-8000-000000000041",
        "next_url": "/leads/0198c5f2-0000-7000-8000-000000000043",
    },
)
_UNKNOWN = {
    "role": "",
    "organization": "",
    "email": "",
    "phone": "",
    "owner": "",
    "due": None,
    "source": "",
    "cycle": 1,
}
MAILS = Sample(
    "insights",
    "mails.html",
    {
        "console": frame("mails"),
        "now": NOW,
        "mails": [
            {"name": "2", "to": "daniel@example.com", "subject": "Answer by 14:47: Mara L.", "at": NOW},
            {
                "name": "1",
                "to": "mara.lindqvist@example.com",
                "subject": "Thank you for writing to Tarn Sensors",
                "at": NOW - timedelta(days=2),
            },
        ],
        "folder": ".leadline/mail",
        "problem": "",
        "next_url": "/mails?after=1",
    },
)
AWAY = "Nurture does not answer just now. All else goes on."
# fmt: off
HELD = Sample(
    "insights",
    "held.html",
    {
        "console": frame("held", Role.operator),
        "now": NOW,
        "events": [
            {
                "service": "scoring", "lead_id": "0198c5f2-0000-7000-8000-000000000042", "topic": "leads.activity",
                "seq": 2, "reason": "failed", "said": "Failed", "detail": "ValueError in _count line 119",
                "held_at": NOW - timedelta(minutes=5),
            },
            {
                "service": "scoring", "lead_id": "0198c5f2-0000-7000-8000-000000000042", "topic": "leads.activity",
                "seq": 3, "reason": "behind", "said": "Waits for the one before", "detail": "",
                "held_at": NOW - timedelta(minutes=4),
            },
        ],
        "more": True,
        "problems": [],
        "said": "1 event is tried again within a second or two.",
        "error": "reason: String should have at least 1 character",
    },
)
SITES = Sample(
    "insights",
    "sites.html",
    {
        "console": frame("sites", Role.marketer),
        "now": NOW,
        "sites": [
            {
                "key": "pk_demo", "name": "demo", "origins": ["http://localhost:*"], "policy": "contact_valid",
                "test": False, "product": "", "region": "",
            },
            {
                "key": "pk_test_xWq81", "name": "web-se", "origins": [], "policy": "none", "test": True,
                "product": "Freight loggers", "region": "SE",
            },
        ],
        "problem": "",
        "policies": {"contact_valid": "an address that works", "none": "nothing"},
        "may_change": True,
        "made": "pk_test_xWq81",
        "values": {},
        "error": "",
    },
)
KEYS = Sample(
    "insights",
    "keys.html",
    {
        "console": frame("keys", Role.operator),
        "now": NOW,
        "keys": [{"id": "k_6f0c3f5e", "name": "CRM of sales", "scopes": ["read", "events"], "at": NOW}],
        "accounts": [{"name": "hanne.vestergren", "role": "lead manager", "at": None}],
    },
)
ALL_WORK = Sample(
    "insights",
    "worklist.html",
    {
        "console": frame("worklist"),
        "now": NOW,
        "leads": [
            {
                "lead_id": "0198c5f2-0000-7000-8000-000000000042", "who": "Mara Lindqvist",
                "company": "Norrvik Logistics", "stage": stage, "temperature": "hot", "score": 84.0,
                "reason": "Asked for a demo 42 seconds ago", "owner_name": rep, "due_at": due, "since": NOW,
                "waits_for": "", "email": "mara@example.com", "phone": "+46 70 174 06 42",
            }
            for stage, rep, due in (
                ("handed_over", "Daniel Osei", NOW + timedelta(minutes=15)),
                ("accepted", "Daniel Osei", NOW - timedelta(minutes=3)),
                ("sql", None, None),
            )
        ],
        "own": False,
        "sees_leads": True,
        "choices": CHOICES,
        "problem": "",
        "next_url": "/worklist?after=abc",
    },
)
# fmt: on
SIGN_IN = Sample("insights", "sign_in.html", {"company": "Tarn Sensors", "there": "/leads", "name": "", "error": ""})
INSIGHTS = (
    SIGN_IN,
    SIGN_IN.but("again", name="hanne.vestergren", error="Name and password do not go together."),
    Sample(
        "insights",
        "refused.html",
        {"console": frame("", Role.marketer), "now": NOW, "title": "Not allowed", "words": "Somebody else can."},
    ),
    HELD,
    HELD.but("none", events=[], more=False, said="", error=""),
    HELD.but("of services that are away", events=[], more=False, problems=[AWAY], error=""),
    SITES,
    SITES.but("to be looked at", may_change=False, made=""),
    SITES.but("none yet, and one that cannot be made", sites=[], error="name: is no name", values={"name": "Web"}),
    SITES.but("of a capture that is away", sites=[], problem=AWAY),
    KEYS,
    KEYS.but("none yet", keys=[], accounts=[]),
    ALL_WORK,
    ALL_WORK.but("of a rep", own=True, sees_leads=False, console=frame("worklist", Role.rep)),
    ALL_WORK.but("of nobody", leads=[], next_url=""),
    ALL_WORK.but("of a handover that is away", leads=[], problem=AWAY, own=True),
    MAILS,
    MAILS.but("none yet", mails=[], next_url=""),
    MAILS.but("that are sent", mails=[], next_url="", folder=None),
    MAILS.but("of a nurture that is away", mails=[], next_url="", folder=None, problem=AWAY),
    Sample(
        "insights",
        "mail.html",
        {
            "console": frame("mails"),
            "now": NOW,
            "mail": {
                "name": "1",
                "subject": "Thank you for writing to Tarn Sensors",
                "sender": "Tarn Sensors <hello@tarn.example>",
                "to": "mara.lindqvist@example.com",
                "at": NOW,
                "text": "Hello Mara,\n\nthank you. Start here:\nhttps://www.tarn.example/claims?a=1&b=2\n",
                "unsubscribe": "http://127.0.0.1:8003/u/eyJzIjoxfQ.c2ln",
            },
        },
    ),
    HOME,
    HOME.but(
        "on the first day",
        funnel={"as_of": NOW, "stages": _NOTHING, "groups": [], "back": [], "left": {"disqualified": 0, "lost": 0}},
        drawing=draw(_NOTHING, []),
        worst=worst(_NOTHING),
        changes=[],
    ),
    LEADS,
    LEADS.but("none matches", leads=[], q="lindqvist", stage="mql", total=0, elsewhere=1, next_url=""),
    LEADS.but("on the first day", leads=[], total=0, next_url=""),
    LEAD,
    LEAD.but(
        "of whom little is known",
        lead={
            **cast("Row", LEAD.variables["lead"]),
            **_UNKNOWN,
            "temperature": "",
            "due": None,
            "cycle": 1,
            "test": True,
        },
        score=None,
        timeline=[],
        consents=[],
        stays=[],
        card=None,
        offers=[],
        problems={"score": AWAY, "card": AWAY, "offers": AWAY},
        last_url="",
        next_url="",
    ),
    LEAD.but(
        "that can be answered for a rep",
        lead={**cast("Row", LEAD.variables["lead"]), "stage": "accepted"},
        asked="0198c5f2-0000-7000-8000-000000000007",
        problem="This lead is taken: another rep holds it.",
    ),
    LEAD.but(
        "whose first contact is late",
        lead={**cast("Row", LEAD.variables["lead"]), "due": NOW - timedelta(minutes=3)},
    ),
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

SAMPLES = (*CAPTURE, *HANDOVER, *WORKLISTS, *INSIGHTS, *NURTURE)


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
