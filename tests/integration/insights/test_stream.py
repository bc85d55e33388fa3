"""Stage changes as they happen, over a real connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.insights import stream as streaming
from shared.service import Runtime
from tests.support.lives import KEY, Life, hear, insights, served
from tests.support.plain_http import NO_CERTIFICATES
from tests.support.set_clock import SetClock

HEADERS = {"Authorization": f"Bearer {KEY}"}


class Reader:
    """A browser's end of the stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, Any]:
        """The next event, with its `id`."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    event["id"] = value
                elif name == "event":
                    assert value == "stage"
                elif name == "data":
                    return json.loads(value) | event
        raise EOFError


@asynccontextmanager
async def reading(url: str, **headers: str) -> AsyncIterator[Reader]:
    async with (
        httpx.AsyncClient(headers=HEADERS, verify=NO_CERTIFICATES) as http,
        http.stream("GET", f"{url}/v1/stream", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Reader(answer.aiter_lines())


async def test_a_change_is_seen_by_every_reader_within_a_second(runtime: Runtime[Any], clock: SetClock) -> None:
    life = Life(clock.now(), name="Mara Lindqvist")
    async with served(runtime) as url, reading(url) as one, reading(url) as other:
        await hear(runtime, life.born())
        heard = time.monotonic()
        change = await one.next()
        assert time.monotonic() - heard < 1
        assert {name: change[name] for name in ("at", "lead_id", "who", "from", "to", "reason", "test")} == {
            "at": "2026-03-03T10:00:00Z",
            "lead_id": str(life.lead_id),
            "who": "Mara Lindqvist",
            "from": None,
            "to": "captured",
            "reason": "Showed interest for the first time",
            "test": False,
        }
        assert await other.next() == change


async def test_a_reader_that_comes_back_is_told_what_it_missed_once_and_in_order(
    runtime: Runtime[Any], clock: SetClock
) -> None:
    life = Life(clock.now())
    async with served(runtime) as url:
        async with reading(url) as reader:
            await hear(runtime, life.born())
            last = (await reader.next())["id"]
        await hear(runtime, life.way(("registered", "contact_valid"), ("iql", "score_reached")))
        async with reading(url, **{"Last-Event-ID": last}) as reader:
            await hear(runtime, life.way(("mql", "score_reached")))
            assert [(await reader.next())["to"] for _ in range(3)] == ["registered", "iql", "mql"]


async def test_a_reader_that_is_new_is_told_the_newest_so_that_a_page_just_drawn_misses_none(
    runtime: Runtime[Any], clock: SetClock
) -> None:
    lives = [Life(clock.now(), name=f"Lead {number}") for number in range(streaming.SHOWN_ALREADY + 5)]
    await hear(runtime, [event for life in lives for event in life.born()])
    async with served(runtime) as url, reading(url) as reader:
        told = [(await reader.next())["who"] for _ in range(streaming.SHOWN_ALREADY)]
    assert told == [life.name for life in lives[5:]]


async def test_history_is_not_among_what_happens(runtime: Runtime[Any], clock: SetClock) -> None:
    old, new = Life(clock.now(), history=True), Life(clock.now(), name="New")
    async with served(runtime) as url, reading(url) as reader:
        await hear(runtime, old.born())
        await hear(runtime, new.born())
        assert (await reader.next())["who"] == "New"


async def test_readers_are_counted_and_the_next_is_asked_to_come_later(insights_dsn: str, clock: SetClock) -> None:
    runtime = insights(insights_dsn, clock, stream_readers=1)
    async with served(runtime) as url:
        async with reading(url), httpx.AsyncClient(headers=HEADERS, verify=NO_CERTIFICATES) as http:
            refused = await http.get(f"{url}/v1/stream")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
        async with asyncio.timeout(5):
            while True:
                async with (
                    httpx.AsyncClient(headers=HEADERS, verify=NO_CERTIFICATES) as http,
                    http.stream("GET", f"{url}/v1/stream") as again,
                ):
                    if again.status_code == 200:
                        break
                await asyncio.sleep(0.05)


async def test_a_reader_that_does_not_read_is_let_go_and_harms_no_other(
    runtime: Runtime[Any], clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOST_WAITING", 3)
    changes = runtime.attached["stream"]
    stopping = asyncio.Event()
    looking = asyncio.create_task(changes.run())
    slow = await changes.follow(None, stopping)
    quick = await changes.follow(None, stopping)
    assert (await anext(quick)).startswith(b"retry:")
    assert (await anext(slow)).startswith(b"retry:")
    seen = 0
    for _ in range(6):
        await hear(runtime, Life(clock.now()).born())
        assert b"event: stage" in await asyncio.wait_for(anext(quick), 5)
        seen += 1
    assert seen == 6
    assert [line async for line in slow][:1] != []  # what was waiting, and then the end
    await quick.aclose()
    looking.cancel()


async def test_streams_end_when_the_server_does(runtime: Runtime[Any]) -> None:
    async with served(runtime) as url:
        line = reading(url)
        reader = await line.__aenter__()
        began = time.monotonic()
    assert time.monotonic() - began < 3
    with pytest.raises((EOFError, httpx.HTTPError)):
        await reader.next()
    await line.__aexit__(None, None, None)
