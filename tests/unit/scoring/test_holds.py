"""How long a lead that sales let go is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scoring.domain.holds import hold
from shared.lifecycle import EDGES, Stage, reasons_for
from shared.reasons import LOST_REASONS, RETURN_REASONS


def test_a_hold_lasts_as_long_as_its_reason_says() -> None:
    assert hold(Stage.returned, "bad_timing") == timedelta(days=30)
    assert hold(Stage.returned, "no_budget") == timedelta(days=90)
    assert hold(Stage.returned, "unreachable") == timedelta(days=14)
    assert hold(Stage.returned, "wrong_contact") is None
    assert hold(Stage.lost, "no_budget") == timedelta(days=180)


@pytest.mark.parametrize("stage", [Stage.returned, Stage.lost])
def test_every_way_to_be_let_go_has_a_hold(stage: Stage) -> None:
    ways = {reason for frm in Stage if stage in EDGES[frm] for reason in reasons_for(frm, stage)}
    assert ways >= (RETURN_REASONS if stage is Stage.returned else LOST_REASONS)
    spans = [hold(stage, reason) for reason in ways]
    assert all(span is None or timedelta(days=7) <= span <= timedelta(days=365) for span in spans)


def test_a_stage_that_sales_did_not_end_has_no_hold() -> None:
    with pytest.raises(KeyError):
        hold(Stage.sql, "bad_timing")
