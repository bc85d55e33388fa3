"""What becomes of a touch after an attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.nurture.domain.journey import Delivery
from services.nurture.domain.touch import RETRY_AFTER, Fate, State, Touch, touch_id_of

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
LEAD = UUID("0198c5f2-0000-7000-8000-000000000042")


def claimed(attempts: int = 1, delivery: Delivery = Delivery.at_most_once) -> Touch:
    return Touch(
        touch_id=touch_id_of(LEAD, 1, "welcome", "hello"),
        cycle=1,
        journey="welcome",
        step="hello",
        purpose="marketing",
        due_at=NOON,
        at=NOON,
        delivery=delivery,
        state=State.claimed,
        attempts=attempts,
    )


@pytest.mark.parametrize(
    ("fate", "state", "reason"),
    [
        (Fate.accepted, State.sent, ""),
        (Fate.uncertain, State.unknown, "why"),
        (Fate.refused, State.deferred, "why"),
        (Fate.refused_for_good, State.failed, "why"),
        (Fate.bounced, State.failed, "why"),
        (Fate.rehearsed, State.skipped, "test"),
    ],
)
def test_a_fate_makes_a_state_with_its_reason(fate: Fate, state: State, reason: str) -> None:
    settled = claimed().settled(fate, "why", NOON)
    assert (settled.state, settled.reason, settled.at) == (state, reason, NOON)


def test_retries_come_further_and_further_apart_and_end() -> None:
    touch, moment, waits = claimed(), NOON, list[timedelta]()
    while (touch := touch.settled(Fate.refused, "greylisted", moment)).state is State.deferred:
        waits.append(touch.due_at - moment)
        moment = touch.due_at
        touch = replace(touch, state=State.claimed, attempts=touch.attempts + 1)
    assert tuple(waits) == RETRY_AFTER == tuple(sorted(RETRY_AFTER))
    assert (touch.state, touch.reason) == (State.failed, "gave_up")


def test_an_uncertain_mail_is_sent_again_only_where_its_step_says_so() -> None:
    assert claimed().settled(Fate.uncertain, "no_receipt", NOON).state is State.unknown
    again = claimed(delivery=Delivery.at_least_once).settled(Fate.uncertain, "no_receipt", NOON)
    assert again.state is State.deferred
    assert again.due_at > NOON
    last = claimed(len(RETRY_AFTER) + 1, Delivery.at_least_once).settled(Fate.uncertain, "no_receipt", NOON)
    assert last.state is State.unknown


def test_a_touch_is_itself_however_often_it_is_planned() -> None:
    ids = {
        touch_id_of(LEAD, 1, "welcome", "hello"),
        touch_id_of(LEAD, 2, "welcome", "hello"),
        touch_id_of(LEAD, 1, "welcome", "again"),
        touch_id_of(UUID(int=LEAD.int + 1), 1, "welcome", "hello"),
    }
    assert len(ids) == 4
    assert touch_id_of(LEAD, 1, "welcome", "hello") in ids
