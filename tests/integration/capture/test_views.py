"""Views of forms and pages are counted by day, source and conversion point, and told as totals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.capture.views import MOST_COUNTED, tell
from shared.events.topics import Topic
from tests.support.capturing import SITE, Capturing, capturing
from tests.support.set_clock import SetClock


async def view(capture: Capturing, headers: dict[str, str] = SITE, **body: Any) -> int:
    return (await capture.client.post("/v1/views", json=body, headers=headers)).status_code


async def told(capture: Capturing) -> list[tuple[str, str, str, str, int]]:
    said = [event.data for event in await capture.said(topic=Topic.MARKET)]
    return [(one.day, one.what, one.source, one.conversion_point, one.count) for one in said]


async def test_a_day_is_told_as_its_total_by_source_and_conversion_point(capture: Capturing, clock: SetClock) -> None:
    today = clock.now().date().isoformat()
    ad = {"url": "https://shop.example/?utm_source=google&utm_medium=cpc"}
    for _ in range(3):
        assert await view(capture, conversion_point="pricing", source=ad) == 202
    await view(capture, conversion_point="pricing")
    await view(capture, what="visits")
    await tell(capture.runtime)
    assert await told(capture) == [
        (today, "form_views", "", "pricing", 1),
        (today, "form_views", "google", "pricing", 3),
        (today, "visits", "", "", 1),
    ]
    await view(capture, conversion_point="pricing", source=ad)
    await tell(capture.runtime)
    await tell(capture.runtime)
    assert (await told(capture))[3:] == [(today, "form_views", "google", "pricing", 4)]
    clock.advance(timedelta(days=1))
    await view(capture, conversion_point="pricing", source=ad)
    await tell(capture.runtime)
    assert (await told(capture))[-1][-1] == 1


async def test_the_key_of_what_is_told_is_the_sites(capture: Capturing) -> None:
    await view(capture)
    await capture.client.get("/demo?utm_source=google")
    await tell(capture.runtime)
    said = await capture.said(topic=Topic.MARKET)
    assert len({event.lead_id for event in said}) == 1
    assert {event.attributes.site for event in said} == {"demo"}
    assert ("google", "demo") in {(event.data.source, event.data.conversion_point) for event in said}


async def test_test_keys_are_not_counted_and_unknown_ones_refused(capture: Capturing) -> None:
    assert await view(capture, {"X-Site-Key": "pk_test_demo"}) == 202
    assert await view(capture, {"X-Site-Key": "pk_nobody"}) == 403
    assert await view(capture, {}) == 401
    assert await view(capture, what="spend") == 422
    await tell(capture.runtime)
    assert await told(capture) == []


async def test_two_processes_add_up(capture: Capturing, dsn: str, clock: SetClock) -> None:
    async with capturing(dsn, clock) as second:
        for one in (capture, second, second):
            await view(one, conversion_point="pricing")
        await tell(capture.runtime)
        await tell(second.runtime)
    assert [one[-1] for one in await told(capture)] == [1, 3]


async def test_whoever_makes_sources_up_fills_no_memory(capture: Capturing) -> None:
    for n in range(MOST_COUNTED + 50):
        await view(capture, source={"source": f"made up {n}"})
    await tell(capture.runtime)
    assert len(await told(capture)) == MOST_COUNTED
