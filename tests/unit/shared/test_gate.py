from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from shared import gate
from shared.gate import MOST_BODY_BYTES, Gate


async def length_of_body(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(str(len(body)))(scope, receive, send)


async def waits_for_the_caller_to_leave(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    assert (await receive())["type"] == "http.disconnect"
    await Response("waited")(scope, receive, send)


async def asked(app: Gate, *pieces: tuple[float, bytes], path: str = "/") -> list[Message]:
    """What is answered to a chunked body whose pieces each come after some seconds; the last leaves it open."""
    waiting = list(pieces)
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}
        after, piece = waiting.pop(0)
        await asyncio.sleep(after)
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"transfer-encoding", b"chunked")]}
    await app(scope, receive, send)
    return sent


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.1)


async def test_a_body_that_trickles_in_is_refused_when_its_time_is_up() -> None:
    trickle = [(0.03, b"x")] * 30
    start, *_ = await asked(Gate(length_of_body, {}), *trickle)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


async def test_a_body_in_time_is_taken() -> None:
    start, body = await asked(Gate(length_of_body, {}), (0.01, b"abc"), (0.01, b"de"), (0, b""))
    assert (start["status"], body["body"]) == (200, b"5")


async def test_a_stream_may_wait_for_its_caller_longer_than_a_body_may_take() -> None:
    start, body = await asked(Gate(waits_for_the_caller_to_leave, {}), (0, b"abc"), (0, b""))
    assert (start["status"], body["body"]) == (200, b"waited")


async def test_a_path_of_its_own_takes_more_and_its_neighbours_do_not() -> None:
    app = Gate(length_of_body, {"/large": 10}, default=4)
    assert (await asked(app, (0, b"12345"), (0, b""), path="/large"))[0]["status"] == 200
    for path in ("/large/", "/larger", "/"):
        assert (await asked(app, (0, b"12345"), (0, b""), path=path))[0]["status"] == 413


async def test_the_last_piece_may_be_the_one_that_is_too_much() -> None:
    ended = {"type": "http.request", "body": b"12345", "more_body": False}
    sent: list[Message] = []

    async def receive() -> Message:
        return ended

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    await Gate(length_of_body, {}, default=4)(scope, receive, send)
    assert sent[0]["status"] == 413


def test_no_path_may_take_more_than_a_megabyte() -> None:
    with pytest.raises(ValueError, match="more than"):
        Gate(length_of_body, {"/large": MOST_BODY_BYTES + 1})
