"""How long a lead that sales let go is left alone, by the reason it was let go for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from shared.lifecycle import Stage
from shared.reasons import Reason

# How long a lead stays out of sales' way after it came back from there; None: until it shows high intent by itself.
# Judgement, not measurement: budgets come round by quarter or half-year, a contract with a competitor by the year.
_RETURNED: Mapping[Reason, timedelta | None] = {
    Reason.bad_timing: timedelta(days=30),
    Reason.no_authority: timedelta(days=30),
    Reason.no_budget: timedelta(days=90),
    Reason.no_need: timedelta(days=90),
    Reason.no_value: timedelta(days=90),
    Reason.not_interested: None,
    Reason.not_ready: timedelta(days=30),
    Reason.unreachable: timedelta(days=14),
    Reason.wrong_contact: None,
}
_LOST: Mapping[Reason, timedelta | None] = {
    Reason.bad_timing: timedelta(days=90),
    Reason.competitor: timedelta(days=365),
    Reason.no_authority: timedelta(days=90),
    Reason.no_budget: timedelta(days=180),
    Reason.no_decision: timedelta(days=90),
    Reason.no_need: timedelta(days=180),
    Reason.no_value: timedelta(days=180),
    Reason.not_interested: None,
    Reason.too_expensive: timedelta(days=180),
    Reason.trial_not_bought: timedelta(days=90),
    Reason.unreachable: timedelta(days=30),
}
DEFAULT_HOLD = timedelta(days=30)


def hold(stage: Stage, reason: str) -> timedelta | None:
    """How long a lead that became `returned` or `lost` for that reason waits before it is judged again.

    None: until it shows high intent, however long that takes. Raises KeyError for a stage that has no hold.
    """
    return {Stage.returned: _RETURNED, Stage.lost: _LOST}[stage].get(Reason(reason), DEFAULT_HOLD)
