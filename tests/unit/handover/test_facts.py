"""What the owner does about facts that others said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.handover.domain.facts import Answer, answer
from services.handover.domain.lead import AT_SALES, Facts, Purchase, Request
from shared.lifecycle import OWNER, Stage, legal
from shared.reasons import DISQUALIFY_REASONS, Reason

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
BOUGHT = Purchase(seq=5, value="100.00", currency="EUR", at=NOW)
SETTLED = Request(seq=4, activity="demo_requested", at=NOW, recorded=NOW)
LATER = Request(seq=6, activity="demo_requested", at=NOW, recorded=NOW)


@pytest.mark.parametrize("stage", AT_SALES)
def test_a_purchase_makes_a_customer_and_a_flag_disqualifies(stage: Stage) -> None:
    assert answer(stage, Facts()) is None
    assert answer(stage, Facts(purchase=BOUGHT)) == Answer(Stage.customer, Reason.purchase)
    assert answer(stage, Facts(flag="spam")) == Answer(Stage.disqualified, Reason.spam)
    assert answer(stage, Facts(purchase=BOUGHT, flag="spam")) == Answer(Stage.customer, Reason.purchase)
    assert answer(stage, Facts(request=LATER)) is None


@pytest.mark.parametrize("stage", [stage for stage in Stage if OWNER[stage] == "handover"])
@pytest.mark.parametrize("flag", ["", "spam", "a word of another system", "merged"])
@pytest.mark.parametrize("purchase", [None, BOUGHT])
@pytest.mark.parametrize("request_", [None, SETTLED, LATER])
def test_every_answer_is_an_edge_of_the_graph(
    stage: Stage, flag: str, purchase: Purchase | None, request_: Request | None
) -> None:
    found = answer(stage, Facts(purchase, request_, flag, NOW, "purchase"))
    assert found is None or legal(stage, found.to, found.reason)


def test_a_flag_in_words_of_another_system_counts_as_a_persons_decision() -> None:
    assert "bad vibes" not in DISQUALIFY_REASONS
    assert answer(Stage.sql, Facts(flag="bad vibes")) == Answer(Stage.disqualified, Reason.manual)


@pytest.mark.parametrize(
    ("facts", "again"),
    [
        (Facts(BOUGHT, LATER, "", NOW, "purchase"), True),
        (Facts(BOUGHT, SETTLED, "", NOW, "purchase"), False),
        # The purchase that made the customer is not heard yet, so it came after the request.
        (Facts(None, LATER, "", NOW, "purchase"), False),
        # Won by a rep: what was asked before that is settled, what is asked from then on is not.
        (Facts(None, Request(1, "call", NOW, NOW + timedelta(seconds=1)), "", NOW, "won"), True),
        (Facts(None, Request(1, "call", NOW, NOW - timedelta(seconds=1)), "", NOW, "won"), False),
        (Facts(BOUGHT, Request(6, "call", NOW, NOW, history=True), "", NOW, "purchase"), False),
        (Facts(BOUGHT, None, "spam", NOW, "purchase"), False),
    ],
)
def test_a_customer_comes_round_again_by_asking_after_the_purchase(facts: Facts, again: bool) -> None:
    assert answer(Stage.customer, facts) == (Answer(Stage.registered, Reason.new_cycle) if again else None)
