"""Variables for the console's pages of many leads: the funnel and the list. People and companies are invented."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from services.insights.pages.drawing import FlowBack, StageCount, draw, worst
from shared.keys import Role
from tests.support.page_sample import NOW, Row, Sample, frame

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
LISTS = (
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
)
