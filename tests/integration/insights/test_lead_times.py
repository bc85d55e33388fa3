"""Cohorts: of the leads that came in some days, who bought, and how long it took."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.service import Runtime
from tests.support.lives import Life, hear
from tests.support.set_clock import SetClock

BOUGHT = (("registered", "contact_valid"), ("customer", "purchase"))


async def lead_times(api: httpx.AsyncClient, **asked: str) -> Any:
    return (await api.get("/v1/lead-times", params=asked)).raise_for_status().json()


async def test_nobody_has_no_conversion_and_no_days(api: httpx.AsyncClient) -> None:
    answer = await lead_times(api)
    assert answer["total"] == {"key": "", "leads": 0, "customers": 0, "conversion": None, "days": None}
    assert answer["groups"] == []


async def test_a_cohort_is_told_by_its_days_and_its_source(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    begin = clock.now() - timedelta(days=60)
    sources = ["bing"] * 2 + ["google"] * 7 + ["Google"]
    lives = [Life(begin + timedelta(days=number), source=source) for number, source in enumerate(sources)]
    told = [event for life in lives for event in life.born()]
    for number, life in enumerate(lives[:5]):
        life.at += timedelta(days=number * 2) - timedelta(minutes=2)
        told += life.way(*BOUGHT)
    await hear(runtime, told)

    whole = await lead_times(api)
    assert whole["total"] == {
        "key": "", "leads": 10, "customers": 5, "conversion": 0.5,
        "days": {"p10": 0.8, "median": 4.0, "p75": 6.0, "p90": 7.2},
    }  # fmt: skip
    assert [(one["key"], one["leads"], one["customers"]) for one in whole["groups"]] == [
        ("google", 8, 3), ("bing", 2, 2),
    ]  # fmt: skip
    some = await lead_times(api, **{"from": f"{begin:%Y-%m-%d}", "to": f"{begin + timedelta(days=2):%Y-%m-%d}"})
    assert (some["total"]["leads"], some["total"]["customers"]) == (3, 3)
    assert some["total"]["days"]["median"] == 2.0
    assert [one["key"] for one in (await lead_times(api, groups="1"))["groups"]] == ["google"]


async def test_a_purchase_before_the_first_interest_counts_with_days_below_nothing(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now() - timedelta(days=9))
    told = life.born()
    life.at -= timedelta(days=1, minutes=2)
    await hear(runtime, [*told, *life.way(*BOUGHT)])
    assert (await lead_times(api))["total"]["days"]["median"] == -1.0


async def test_a_customer_that_comes_round_again_counts_anew_from_then_on(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    life = Life(clock.now() - timedelta(days=50), product="logger")
    told = [*life.born(), *life.way(*BOUGHT)]
    life.at = clock.now() - timedelta(days=10)
    told += life.way(("registered", "new_cycle"))
    life.at += timedelta(days=4) - timedelta(minutes=1)
    await hear(runtime, [*told, *life.way(BOUGHT[1])])
    again = await lead_times(api, by="product", **{"from": f"{clock.now() - timedelta(days=11):%Y-%m-%d}"})
    assert [(one["key"], one["leads"], one["days"]["median"]) for one in again["groups"]] == [("logger", 1, 4.0)]
    assert (await lead_times(api))["total"]["leads"] == 2


async def test_test_leads_merged_ones_and_erased_ones_are_out(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    real, trial, gone, double = (Life(clock.now(), test=test) for test in (False, True, False, False))
    await hear(runtime, [event for life in (real, trial, gone, double) for event in life.born()])
    await hear(runtime, [gone.erased(), double.moved("merged", "merged")])
    assert (await lead_times(api))["total"]["leads"] == 1
    assert (await lead_times(api, test="true"))["total"]["leads"] == 1


@pytest.mark.parametrize("asked", [{"from": "2026-03-02", "to": "2026-03-01"}, {"by": "name"}, {"groups": "0"}])
async def test_a_question_that_makes_no_sense_is_refused(api: httpx.AsyncClient, asked: dict[str, str]) -> None:
    assert (await api.get("/v1/lead-times", params=asked)).status_code == 422
