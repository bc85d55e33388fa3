"""A small rule set for tests, as data that a test may change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.scoring.domain.engagement import Fact
from services.scoring.domain.moments import moment
from services.scoring.domain.reading import read_rules
from services.scoring.domain.ruleset import RuleSet

START = datetime(2026, 3, 3, 10, tzinfo=UTC)


def rule_data() -> dict[str, Any]:
    """Some rule of every kind; fresh data at each call."""
    return {
        "version": 1,
        "groups": {"browsing": {"most": 12}, "content": {"most": 20}},
        "fit": {
            "rules": {
                "business_email": {
                    "says": "Writes from a company's address",
                    "points": 15,
                    "when": {"field": "email.kind", "is": "business"},
                },
                "free_email": {
                    "says": "Writes from a free mail provider",
                    "points": -5,
                    "evidence": False,
                    "when": {"field": "email.kind", "is": "free"},
                },
                "large": {
                    "says": "A large company",
                    "points": 30,
                    "when": {"field": "answers.employees", "at_least": 500},
                },
            },
            "grades": {"A": 40, "B": 25, "C": 10},
        },
        "engagement": {
            "rules": {
                "demo": activity("demo_requested", 40, "30d", {"points": 60}, intent=True),
                "prices": activity("pricing_viewed", 10, "14d", {"points": 25, "times": 2, "within": "1d"}),
                "page": activity("page_viewed", 1, "7d", {"points": 8}, group="browsing"),
                "product": activity("product_viewed", 4, "14d", {"points": 16}, group="browsing"),
                "download": activity("asset_downloaded", 10, "30d", {"points": 30}, group="content"),
                "newsletter": activity("newsletter_subscribed", 8.5, "never", {"times": 1}),
                "unsubscribed": activity("unsubscribed", -15, "90d", {"points": 15}),
            }
        },
        "requests": {
            "fresh_for": "30d",
            "rules": {
                "demo_requested": {"activity": "demo_requested", "reason": "demo_requested"},
                "inbound_call": {
                    "activity": ["call", "inbound_call"],
                    "reason": "inbound_call",
                    "when": {"not": {"field": "outcome", "is": "wrong_number"}},
                },
            },
        },
        "come_back": ["no_budget", "unconfirmed"],
        "temperature": {
            "hot": {"enter": 40, "leave": 25, "quiet_after": "21d", "intent_within": "7d"},
            "warm": {"enter": 12, "leave": 6, "quiet_after": "60d", "intent_within": "30d"},
        },
        "stages": {
            "iql": {
                "enter": [{"groups": {"content": 1}, "reason": "content_requested"}, {"engagement": 5}],
            },
            "mql": {"enter": [{"score": 45, "grade": ["A", "B", "C"]}], "leave": {"score": 30}},
            "sql": {"enter": [{"score": 100, "grade": ["A", "B"], "temperature": ["hot"]}]},
        },
    }


def activity(name: str, points: float, half_life: str, most: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "says": name.replace("_", " ").capitalize(),
        "activity": name,
        "points": points,
        "half_life": half_life,
        "most": most,
        **more,
    }


def rules(**changes: Any) -> RuleSet:
    return read_rules(rule_data() | changes)


def day(number: float) -> int:
    """The moment so many days after the start."""
    return moment(START + timedelta(days=number))


def fact(name: str, at: float, number: int = 1, **details: str) -> Fact:
    """An activity so many days after the start; `number` makes its id, and orders facts of one moment."""
    return Fact(UUID(int=number), day(at), name, details)
