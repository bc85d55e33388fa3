"""Which outcome is possible in which stage, held against the graph of stages."""

from __future__ import annotations

import pytest

from services.handover.domain.outcome import RESULT, Outcome, effect, reasons_of
from shared.lifecycle import OWNER, Stage, legal, walk

MOVES = {
    (Stage.accepted, Outcome.opportunity): Stage.opportunity,
    (Stage.accepted, Outcome.won): Stage.customer,
    (Stage.accepted, Outcome.lost): Stage.lost,
    (Stage.accepted, Outcome.disqualified): Stage.disqualified,
    (Stage.opportunity, Outcome.won): Stage.customer,
    (Stage.opportunity, Outcome.lost): Stage.lost,
    (Stage.opportunity, Outcome.disqualified): Stage.disqualified,
    (Stage.sql, Outcome.disqualified): Stage.disqualified,
    (Stage.handed_over, Outcome.disqualified): Stage.disqualified,
}
FACTS = {
    (Stage.opportunity, Outcome.opportunity),
    (Stage.customer, Outcome.fulfilled),
    (Stage.customer, Outcome.paid),
}


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("stage", Stage)
def test_every_outcome_in_every_stage(stage: Stage, outcome: Outcome) -> None:
    reason = sorted(reasons_of(outcome) or {""})[0]
    found = effect(stage, outcome, reason)
    if to := MOVES.get((stage, outcome)):
        assert (found.kind, found.to) == ("move", to)
        assert RESULT[outcome] is to
        steps = walk(stage, 1, to, found.reason, "handover")
        assert steps[-1].to is to
        assert all(OWNER[step.frm or stage] == "handover" for step in steps)
        assert legal(steps[-1].frm, to, found.reason)
    elif (stage, outcome) in FACTS:
        assert found.kind == "fact"
        assert found.to is None
    else:
        assert found.kind == "no"


def test_winning_an_accepted_lead_passes_through_its_opportunity() -> None:
    won = effect(Stage.accepted, Outcome.won)
    assert won.to is Stage.customer
    assert [step.to for step in walk(Stage.accepted, 1, won.to, won.reason, "handover")] == ["opportunity", "customer"]


@pytest.mark.parametrize("outcome", [Outcome.lost, Outcome.disqualified])
def test_every_reason_that_may_be_given_is_one_the_graph_knows(outcome: Outcome) -> None:
    reasons = reasons_of(outcome)
    assert reasons
    for reason in reasons:
        assert legal(Stage.accepted, RESULT[outcome], reason)
        assert legal(Stage.opportunity, RESULT[outcome], reason)
