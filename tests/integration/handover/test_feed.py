"""The feed: one order of everything, gapless under many writers, and streamed from any place."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deploy.keys import make, revoke
from services.handover import feed, streaming
from services.handover.cloud_event import to_json
from shared.events.codec import Stored, decode
from shared.keys import LOOK_SECONDS, Scope
from shared.server import server
from shared.service import Runtime
from tests.support.plain_http import NO_CERTIFICATES
from tests.support.sales import KEY, Told, add_rep, feed_rows, handover, hear, offer_all, pass_time
from tests.support.set_clock import SetClock


async def logged(runtime: Runtime[Any]) -> list[Stored]:
    async with runtime.database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM bus.handover_log WHERE topic <> 'leads.privacy' ORDER BY pos")
    return [
        Stored(
            place=("handover", row["lane"], row["pos"]),
            **{name: row[name] for name in ("event_id", "topic", "lead_id", "seq", "type", "attributes", "body")},
        )
        for row in rows
    ]


async def test_the_feed_holds_all_stage_changes_and_all_that_handover_says_as_they_were_said(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    anna = await add_rep(api, "Anna")
    lead, other = Told(clock), Told(clock, test=True)
    heard = [lead.asked_for_a_demo(), other.born(), lead.did("page_viewed"), lead.scored(60.0, "hot")]
    await hear(runtime, *heard)
    await offer_all(runtime)
    await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": anna})
    rows = await feed_rows(runtime)
    assert [pos for pos, _ in rows] == list(range(1, len(rows) + 1))
    stages = [event for some in heard for event in some if event.topic == "leads.stage"]
    expected = {str(event.event_id): to_json(decode(event)) for event in [*stages, *await logged(runtime)]}
    assert {event["id"]: event for _, event in rows} == json.loads(json.dumps(expected, default=_as_text))
    last = rows[-1][1]
    assert last["specversion"] == "1.0"
    assert (last["type"], last["subject"]) == ("io.leadline.handover.accepted.v1", str(lead.lead_id))
    assert not [word for word in ("Mara", "norrvik", "+4670") if word in json.dumps(rows)]


def _as_text(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z")


async def test_what_comes_again_is_in_the_feed_once(runtime: Runtime[Any], clock: SetClock) -> None:
    lead = Told(clock)
    events = lead.asked_for_a_demo()
    for _ in range(3):
        await hear(runtime, events)
    assert len(await feed_rows(runtime)) == 3


async def test_positions_are_gapless_and_in_order_for_readers_while_many_write(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    reps = [await add_rep(api, name) for name in ("Anna", "Ben", "Cay")]
    seen = list[int]()
    writing = True

    async def read() -> None:
        while writing or seen[-1:] != [await _last(runtime)]:
            async with runtime.database.connection() as connection:
                rows = await feed.page(connection, seen[-1] if seen else 0, 50)
            seen.extend(row["pos"] for row in rows)
            await asyncio.sleep(0)

    async def write(rep: str) -> None:
        for _ in range(15):
            lead = Told(clock)
            await hear(runtime, lead.asked_for_a_demo())
            answer = await api.post(f"/v1/leads/{lead.lead_id}/accept", json={"rep": rep})
            assert answer.status_code == 200
            await api.post(f"/v1/leads/{lead.lead_id}/outcome", json={"outcome": "won", "value": "1.00"})

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(rep) for rep in reps))
    writing = False
    await asyncio.wait_for(reading, 10)
    assert seen == list(range(1, len(seen) + 1))
    rows = await feed_rows(runtime)
    assert len(rows) == len(seen)
    by_topic: dict[tuple[str, str], list[int]] = {}
    for _, event in rows:
        topic = event["type"].split(".")[2]
        by_topic.setdefault((event["subject"], topic), []).append(event["seq"])
    assert len(by_topic) == 2 * 45
    for seqs in by_topic.values():
        assert seqs == list(range(1, len(seqs) + 1))
    ids = {event["id"] for _, event in rows if event["source"] == "/leadline/handover"}
    assert ids == {str(event.event_id) for event in await logged(runtime)}


async def _last(runtime: Runtime[Any]) -> int:
    async with runtime.database.connection() as connection:
        return await feed.last(connection)


@dataclass
class Frame:
    id: str
    event: str
    data: dict[str, Any]


@dataclass
class Served:
    url: str
    server: uvicorn.Server
    ended: asyncio.Task[None]


@pytest.fixture
async def served(handover_dsn: str, clock: SetClock, tmp_path: Path) -> AsyncGenerator[Served]:
    """The service's API on a port of its own, as a process of its own would serve it."""
    web = server(handover(handover_dsn, clock, data_dir=tmp_path).app(("api",)), "127.0.0.1", 0)
    ended = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.01)
    port = web.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}", web, ended)
    web.should_exit = True
    await ended


@asynccontextmanager
async def stream(served: Served, query: str = "", **headers: str) -> AsyncGenerator[AsyncIterator[Frame]]:
    headers = {"Authorization": f"Bearer {KEY}", **headers}
    async with (
        httpx.AsyncClient(timeout=10, verify=NO_CERTIFICATES) as client,
        client.stream("GET", f"{served.url}/v1/events{query}", headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        await anext(lines)  # the stream has begun
        yield _frames(lines)


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    fields = dict[str, str]()
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Frame(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


async def take(frames: AsyncIterator[Frame], count: int) -> list[Frame]:
    return [await asyncio.wait_for(anext(frames), 5) for _ in range(count)]


async def test_a_stream_tells_what_happens_within_a_moment(
    runtime: Runtime[Any], served: Served, clock: SetClock
) -> None:
    await hear(runtime, Told(clock).asked_for_a_demo())
    async with stream(served) as frames:
        lead = Told(clock)
        await hear(runtime, lead.asked_for_a_demo())
        committed = time.monotonic()
        told = await take(frames, 3)
        assert time.monotonic() - committed < 1
    assert [frame.data["subject"] for frame in told] == [str(lead.lead_id)] * 3
    assert [frame.data["data"]["to"] for frame in told] == ["captured", "registered", "sql"]
    assert {frame.event for frame in told} == {"io.leadline.stage.changed.v1"}
    assert [frame.id for frame in told] == ["4", "5", "6"]


async def test_a_reader_goes_on_after_the_last_event_it_had(
    runtime: Runtime[Any], served: Served, clock: SetClock
) -> None:
    for _ in range(5):
        await hear(runtime, Told(clock).asked_for_a_demo())
    everything = [(str(pos), event) for pos, event in await feed_rows(runtime)]
    had = list[tuple[str, dict[str, Any]]]()
    while len(had) < len(everything):
        resume = {"Last-Event-ID": had[-1][0]} if had else {}
        async with stream(served, "" if had else "?since=0", **resume) as frames:
            had += [(frame.id, frame.data) for frame in await take(frames, 5)]
    assert had == everything


async def test_a_stream_can_begin_at_any_time(runtime: Runtime[Any], served: Served, clock: SetClock) -> None:
    await hear(runtime, Told(clock).asked_for_a_demo())
    await asyncio.sleep(0.01)
    async with runtime.database.connection() as connection:
        moment = await connection.fetchval("SELECT clock_timestamp()")
    later = Told(clock)
    await hear(runtime, later.asked_for_a_demo())
    for written in (
        moment.isoformat().replace("+00:00", "Z"),
        moment.isoformat().replace("+", "%2B"),
        moment.isoformat(),
    ):
        async with stream(served, f"?since={written}") as frames:
            assert {frame.data["subject"] for frame in await take(frames, 3)} == {str(later.lead_id)}
    async with stream(served, "?since=2000-01-01T00:00:00Z") as frames:
        assert [frame.id for frame in await take(frames, 6)] == list("123456")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?since=yesterday", {}),
        ("", {"Last-Event-ID": "-1"}),
        ("", {"Last-Event-ID": "7"}),
        ("", {"Last-Event-ID": "x"}),
    ],
)
async def test_a_place_that_is_none_is_refused(served: Served, query: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {KEY}", **headers}, verify=NO_CERTIFICATES
    ) as client:
        answer = await client.get(f"{served.url}/v1/events{query}")
    assert answer.status_code == 422


async def test_a_quiet_stream_shows_that_it_lives(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.05)
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, verify=NO_CERTIFICATES) as client,
        client.stream("GET", f"{served.url}/v1/events") as response,
    ):
        lines = response.aiter_lines()
        comments = [line async for line in _some(lines, 8) if line.startswith(":")]
    assert comments.count(": nothing new") >= 2


async def _some(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(lines)


async def test_a_reader_that_does_not_read_takes_no_memory_and_loses_nothing(
    runtime: Runtime[Any], served: Served, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 40_000
    async with runtime.database.connection() as connection:
        await connection.execute(
            """INSERT INTO handover.feed (pos, event_id, lead_id, type, fed_at, event)
                SELECT n, gen_random_uuid(), gen_random_uuid(), 'io.leadline.stage.changed.v1', now(),
                    json_build_object('n', n, 'filled', repeat('x', 700)) FROM generate_series(1, $1::int) n""",
            count,
        )
    pages = list[int]()

    async def counting(connection: Any, after: int, limit: int) -> Any:
        pages.append(after)
        return await page(connection, after, limit)

    page = feed.page
    monkeypatch.setattr(feed, "page", counting)
    port = int(served.url.rsplit(":", 1)[1])
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.to_thread(slow.connect, ("127.0.0.1", port))
    request = f"GET /v1/events?since=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    await asyncio.to_thread(slow.sendall, request.encode())
    while True:
        before = len(pages)
        await asyncio.sleep(0.5)
        if len(pages) == before and before:
            break
    assert len(pages) < count // streaming.PAGE // 2
    # Meanwhile another reads everything.
    async with stream(served, "?since=0") as frames:
        had = await take(frames, count)
    assert [int(frame.id) for frame in had] == list(range(1, count + 1))
    slow.settimeout(5)
    text = await asyncio.to_thread(_read_until, slow, f"id: {count}\n".encode())
    assert text.count(b"\nevent: ") == count
    slow.close()


def _read_until(connection: socket.socket, end: bytes) -> bytes:
    received = bytearray()
    while end not in received[-2000:]:
        part = connection.recv(1 << 20)
        assert part, "the stream ended early"
        received += part
    return bytes(received)


async def test_streams_end_when_the_server_stops(runtime: Runtime[Any], served: Served, clock: SetClock) -> None:
    await hear(runtime, Told(clock).asked_for_a_demo())
    async with stream(served, "?since=0") as first, stream(served) as second:
        assert len(await take(first, 3)) == 3
        began = time.monotonic()
        served.server.should_exit = True
        assert [frame async for frame in first] == []
        assert [frame async for frame in second] == []
        await served.ended
        assert time.monotonic() - began < 2


async def test_what_an_expiry_says_is_in_the_feed_too(
    runtime: Runtime[Any], api: httpx.AsyncClient, clock: SetClock
) -> None:
    await add_rep(api, "Anna")
    lead = Told(clock)
    await hear(runtime, lead.asked_for_a_demo())
    await offer_all(runtime)
    await pass_time(runtime, timedelta(minutes=15))
    kinds = [event["type"].split(".", 2)[2] for _, event in await feed_rows(runtime)][-5:]
    assert kinds == [
        "handover.offered.v1",
        "handover.expired.v1",
        "stage.changed.v1",
        "stage.changed.v1",
        "handover.offered.v1",
    ]


async def test_a_stream_ends_before_the_next_event_once_its_key_is_taken_back(
    runtime: Runtime[Any], served: Served, clock: SetClock, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    given, key = make(file, "crm", [Scope.events], clock.now())
    lead = Told(clock)
    await asyncio.sleep(LOOK_SECONDS + 0.1)
    async with stream(served, Authorization=f"Bearer {given}") as frames:
        await hear(runtime, lead.born())
        assert [frame.event for frame in await take(frames, 1)] == ["io.leadline.stage.changed.v1"]
        revoke(file, key.id)
        await asyncio.sleep(LOOK_SECONDS + 0.1)
        await hear(runtime, lead.moved("registered", "contact_valid"))
        async with asyncio.timeout(5):
            assert [frame async for frame in frames] == []
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as again:
        answer = await again.get(f"{served.url}/v1/events", headers={"Authorization": f"Bearer {given}"})
    assert answer.status_code == 401


async def test_a_stream_that_is_just_looking_when_the_server_stops_ends_too(
    runtime: Runtime[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = asyncio.Event()

    async def looking(connection: Any, after: int, limit: int) -> Any:
        rows = await page(connection, after, limit)
        stopping.set()
        await asyncio.sleep(0.05)
        return rows

    page = feed.page
    monkeypatch.setattr(feed, "page", looking)
    async with asyncio.timeout(2):
        assert len([part async for part in streaming.frames(runtime, 0, stopping)]) == 1
