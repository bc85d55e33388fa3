from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from services.scoring.domain.holds import DEFAULT_HOLD
from services.scoring.domain.moments import DAY
from services.scoring.domain.stages import (
    Asked,
    Bought,
    Figures,
    Flagged,
    Move,
    Situation,
    hold_until,
    leaves_below,
    next_move,
)
from shared import lifecycle
from shared.lifecycle import OWNER, Stage
from shared.reasons import DISQUALIFY_REASONS, LOST_REASONS, RETURN_REASONS
from tests.support.rule_examples import day, rule_data, rules

RULES = rules()
NOTHING = Figures(fit=0, engagement=0, grade="unknown", temperature="cold")
READY = Figures(fit=450, engagement=600, grade="A", temperature="hot")
GOOD = Figures(fit=300, engagement=200, grade="B", temperature="warm")
DEMO = Asked(day(9), "demo_requested", "demo_requested")


def situation(stage: str, figures: Figures = NOTHING, **more: object) -> Situation:
    return replace(
        Situation(Stage(stage), stage_at=day(5), stage_reason="score_reached", now=day(10), figures=figures),
        **more,  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.parametrize(
    ("stage", "figures", "groups", "to", "reason"),
    [
        ("registered", NOTHING, {}, None, ""),
        ("registered", replace(NOTHING, engagement=50), {}, "iql", "score_reached"),
        ("registered", replace(NOTHING, engagement=10), {"content": 10}, "iql", "content_requested"),
        ("registered", GOOD, {}, "mql", "fit_and_engagement"),
        ("registered", READY, {}, "sql", "fit_and_engagement"),
        ("registered", replace(READY, temperature="warm"), {}, "mql", "fit_and_engagement"),
        ("registered", replace(GOOD, grade="D"), {}, "iql", "score_reached"),
        ("iql", NOTHING, {}, None, ""),
        ("iql", GOOD, {}, "mql", "fit_and_engagement"),
        ("mql", GOOD, {}, None, ""),
        ("mql", replace(GOOD, engagement=0), {}, None, ""),  # 30 is where it is left, below 30
        ("mql", replace(GOOD, engagement=-1), {}, "iql", "score_fell"),
        ("mql", READY, {}, "sql", "fit_and_engagement"),
        ("returned", READY, {}, None, ""),
        ("lost", READY, {}, None, ""),
        ("disqualified", READY, {}, None, ""),
    ],
)
def test_points_move_a_lead_where_the_lines_say(
    stage: str, figures: Figures, groups: dict[str, int], to: str | None, reason: str
) -> None:
    reason_of_stage = "manual" if stage in ("returned", "lost") else "score_reached"
    move = next_move(situation(stage, figures, groups=groups, stage_reason=reason_of_stage), RULES)
    assert (move and (move.to, move.reason)) == ((Stage(to), reason) if to else None)


def test_new_rules_are_the_reason_when_they_move_a_lead() -> None:
    rising = next_move(situation("registered", GOOD, because_of_rules=True), RULES)
    falling = next_move(situation("mql", NOTHING, because_of_rules=True), RULES)
    assert [move and move.reason for move in (rising, falling)] == ["rules_changed", "rules_changed"]


@pytest.mark.parametrize("stage", ["registered", "iql", "mql", "returned", "lost"])
def test_who_asks_for_a_contact_goes_to_sales_whatever_the_points(stage: str) -> None:
    move = next_move(situation(stage, asked=DEMO, stage_reason="manual"), RULES)
    assert move == Move(Stage.sql, "demo_requested", "requests.demo_requested", asked_for="demo_requested")


@pytest.mark.parametrize(
    "more",
    [
        {"served_until": day(9)},  # sales knew of it already, or it came before the return
        {"now": day(9) + 31 * DAY},  # too long ago
        {"asked": replace(DEMO, proven=False)},  # nobody can be reached there
    ],
)
def test_a_request_that_is_answered_old_or_unreachable_moves_nobody(more: dict[str, object]) -> None:
    assert next_move(situation("mql", GOOD, **({"asked": DEMO} | more)), RULES) is None


@pytest.mark.parametrize(
    ("now", "figures", "to"),
    [(day(34), NOTHING, None), (day(34), READY, None), (day(35), NOTHING, "iql"), (day(35), READY, "sql")],
)
def test_where_a_person_has_put_a_lead_points_leave_it_for_a_while(now: int, figures: Figures, to: str | None) -> None:
    put = situation("mql", figures, stage_reason="manual", now=now)
    move = next_move(put, RULES)
    assert (move and move.to) == to
    assert hold_until(put.stage, put.stage_at, put.stage_reason) == day(35)
    asked = next_move(replace(put, asked=replace(DEMO, at=now)), RULES)
    assert asked is not None
    assert asked.to is Stage.sql


@pytest.mark.parametrize(
    ("reason", "asked", "to"),
    [
        ("no_budget", DEMO, Stage.sql),
        ("no_budget", replace(DEMO, at=day(4)), None),  # before it was disqualified
        ("spam", DEMO, None),  # not among `come_back`
        ("unconfirmed", DEMO, None),
        ("unconfirmed", replace(DEMO, proven=True), Stage.sql),
    ],
)
def test_a_disqualified_lead_comes_back_by_asking_where_its_reason_lets_it(
    reason: str, asked: Asked, to: Stage | None
) -> None:
    move = next_move(situation("disqualified", stage_reason=reason, asked=asked), RULES)
    assert (move and move.to) == to


@pytest.mark.parametrize("stage", ["registered", "iql", "mql", "returned", "lost", "disqualified"])
def test_a_purchase_goes_before_everything(stage: str) -> None:
    bought, flagged = Bought(day(9), "120.00", "EUR"), Flagged(day(9), "spam")
    lead = situation(stage, READY, asked=DEMO, bought=bought, flagged=flagged, stage_reason="manual")
    move = next_move(lead, RULES)
    assert move == Move(Stage.customer, "purchase", "purchase", "120.00", "EUR")


def test_while_history_is_told_only_a_purchase_moves_a_lead() -> None:
    telling = situation("registered", READY, asked=DEMO, flagged=Flagged(day(9), "spam"), only_purchase=True)
    assert next_move(telling, RULES) is None
    assert next_move(replace(telling, bought=Bought(day(9))), RULES) is not None


@pytest.mark.parametrize(
    ("flagged", "released", "to"),
    [
        (Flagged(day(9), "spam"), None, Stage.disqualified),
        (Flagged(day(9), "spam"), day(9), None),  # a person has let it in since
        (Flagged(day(9), "spam"), day(8), Stage.disqualified),
        (Flagged(day(9), "looks odd"), None, None),  # no reason anybody could report on
    ],
)
def test_a_flag_disqualifies_unless_a_person_has_let_the_lead_in_since(
    flagged: Flagged, released: int | None, to: Stage | None
) -> None:
    move = next_move(situation("mql", GOOD, flagged=flagged, released_at=released), RULES)
    assert (move and move.to) == to


@pytest.mark.parametrize(
    ("stage", "reason", "held"),
    [
        ("returned", "not_ready", timedelta(days=30)),
        ("returned", "not_interested", None),
        ("lost", "competitor", timedelta(days=365)),
        ("lost", "manual", DEFAULT_HOLD),
        ("mql", "score_reached", None),
    ],
)
def test_a_lead_back_from_sales_is_held_for_its_reason(stage: str, reason: str, held: timedelta | None) -> None:
    until = hold_until(Stage(stage), day(5), reason)
    assert until == (None if held is None else day(5 + held.days))


@pytest.mark.parametrize(
    ("now", "figures", "to"),
    [
        (day(35) - 1, READY, None),
        (day(35), READY, Stage.sql),
        (day(35), GOOD, Stage.mql),
        (day(35), NOTHING, Stage.iql),
    ],
)
def test_when_the_hold_ends_the_lead_is_judged_again(now: int, figures: Figures, to: Stage | None) -> None:
    move = next_move(situation("returned", figures, stage_reason="not_ready", now=now), RULES)
    assert (move and move.to) == to
    assert move is None or move.reason == "hold_ended"


@pytest.mark.parametrize(("stage", "fit", "level"), [("mql", 150, 150), ("mql", 400, -100), ("iql", 150, None)])
def test_the_line_of_leaving_mql_counts_what_fit_adds(stage: str, fit: int, level: int | None) -> None:
    assert leaves_below(Stage(stage), fit, RULES) == level


def test_of_several_lines_the_higher_is_the_one_to_leave_by() -> None:
    data = rule_data()
    data["stages"]["mql"] = {"enter": [{"score": 45, "engagement": 25}], "leave": {"score": 30, "engagement": 20}}
    assert [leaves_below(Stage.mql, fit, rules(**data)) for fit in (0, 250)] == [300, 200]


def test_every_move_is_one_that_the_graph_allows() -> None:
    """`walk` raises for any other."""
    owned = [stage for stage, owner in OWNER.items() if owner == "scoring"]
    reasons = {Stage.returned: RETURN_REASONS, Stage.lost: LOST_REASONS, Stage.disqualified: DISQUALIFY_REASONS}
    asked = (None, DEMO, Asked(day(9), "inbound_call", "inbound_call", proven=True))
    flags = (None, Flagged(day(9), "not_icp"))
    moved: set[Stage] = set()
    for stage in owned:
        chosen = sorted(reasons.get(stage, {"manual"}))
        for figures, reason, request, flag, now in product(
            (NOTHING, GOOD, READY), chosen, asked, flags, (day(10), day(500))
        ):
            lead = situation(stage, figures, stage_reason=reason, asked=request, flagged=flag, now=now)
            move = next_move(lead, RULES)
            if move is not None:
                lifecycle.walk(stage, 1, move.to, move.reason, "scoring")
                moved.add(stage)
    assert moved == set(owned)
