"""Variables for the console's other pages: mails, what is held, sites, keys, the worklist, signing in."""

from __future__ import annotations

from datetime import timedelta

from shared.keys import Role
from tests.support.page_sample import NOW, Sample, frame
from tests.support.samples_of_a_lead import AWAY, CHOICES

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
PUT_ASIDE = Sample(
    "insights",
    "quarantine.html",
    {
        "console": frame("quarantine"),
        "now": NOW,
        "submissions": [
            {
                "submission_id": "019a2b3c-0000-7000-8000-000000000001", "who": who, "company": "Norrvik Logistics",
                "email": "mara@norrvik.example", "phone": "", "message": message, "trap": "https://norrvik.example",
                "why": "Filled in the field that people do not see", "site": "web-se", "at": NOW, "lead_id": lead_id,
            }
            for who, message, lead_id in (
                ("Mara Lindqvist", "Two reefers lost in September, we need proof per pallet.", ""),
                ("mara@norrvik.example", "", "0198c5f2-0000-7000-8000-000000000042"),
            )
        ],
        "may_release": True,
        "problem": "",
        "error": "",
        "next_url": "/quarantine?after=abc",
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
                "message": "Two reefers lost in September, we need proof per pallet.",
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
PAPERS = (
    SIGN_IN,
    SIGN_IN.but("again", name="hanne.vestergren", error="Name and password do not go together."),
    Sample(
        "insights",
        "refused.html",
        {
            "console": frame("", Role.marketer),
            "now": NOW,
            "title": "Not allowed",
            "words": "Somebody else can.",
            "sign_in": "/sign-in?to=%2Fheld",
        },
    ),
    HELD,
    HELD.but("none", events=[], more=False, said="", error=""),
    HELD.but("of services that are away", events=[], more=False, problems=[AWAY], error=""),
    PUT_ASIDE,
    PUT_ASIDE.but("to be looked at, with one that could not be let in", may_release=False, error="Nothing is there."),
    PUT_ASIDE.but("none", submissions=[], next_url=""),
    PUT_ASIDE.but("of a capture that is away", submissions=[], next_url="", problem=AWAY),
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
)
