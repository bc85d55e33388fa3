"""Variables for the console's page of one lead. People and companies are invented."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from tests.support.page_sample import NOW, Row, Sample, frame

AWAY = "Nurture does not answer just now. All else goes on."


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
OF_A_LEAD = (
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
