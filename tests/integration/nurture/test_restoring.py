"""What the end of a restore makes of a lead that was to leave while nurture was away."""

from __future__ import annotations

from deploy.restore import COMEBACKS, finish
from services.nurture import restoring
from services.nurture.app import service
from shared.consumer import Consumer
from tests.support.nurturing import Nurture, Told


async def test_who_went_to_sales_meanwhile_leaves_and_it_is_said_and_nobody_enters_before_nurture_runs(
    house: Nurture,
) -> None:
    runtime, clock = house.runtime, house.clock
    gone, new = Told(clock), Told(clock, email="new@norrvik.example")
    await house.hear(gone.registered())
    await house.fire()
    still = Consumer(runtime.leads, restoring.standing_still(service.consumes))
    await still.take([*gone.moved("sql", "score_reached"), *new.registered()])
    assert await house.words(gone) == ["enrolled"]
    assert await house.words(new) == []
    told = await finish(runtime, COMEBACKS["nurture"], [gone.lead_id, new.lead_id])
    assert told == "0 mails to the 2 leads that were heard of count as sent."
    assert await house.words(gone) == ["enrolled", "exited"]
    assert await house.words(new) == []
    await house.fire()
    assert await house.words(new) == ["enrolled"]
