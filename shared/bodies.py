"""How much of a request body is taken, and for how long: decided while it arrives, before anything parses it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import problem

BODY_BYTES = 64 * 1024
MOST_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 20.0  # for a whole body: a phone on a bad line sends 64 kB in five
LINGER_SECONDS = 2.0


class BodyCap:
    """Refuses a body by its declared length or, as it arrives, once it has grown too large or taken too long."""

    def __init__(self, app: ASGIApp, per_path: Mapping[str, int], default: int = BODY_BYTES) -> None:
        if any(cap > MOST_BODY_BYTES for cap in per_path.values()):
            raise ValueError(f"no path takes a body of more than {MOST_BODY_BYTES} bytes")
        self._app = app
        self._per_path = per_path
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict[bytes, bytes](scope.get("headers", ()))
        declared = headers.get(b"content-length")
        if declared is None and b"transfer-encoding" not in headers:
            return await self._app(scope, receive, send)
        body = _Body(receive, self._per_path.get(scope["path"], self._default))
        if declared is not None and int(declared) > body.cap:
            return await _refuse(_too_large(body.cap), receive, send)
        answered = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal answered
            if body.refusal is not None and not answered:
                return  # the route's answer to a caller it believes gone
            answered = True
            if message["type"] == "http.response.start" and declared is None and not body.complete:
                MutableHeaders(scope=message)["Connection"] = "close"  # else we would read on for as long as it sends
            await send(message)

        try:
            await self._app(scope, body.receive, send_unless_refused)
        except Exception:
            if body.refusal is None or answered:
                raise
        if body.refusal is not None and not answered:
            await _refuse(body.refusal, receive, send)
        return None


class _Body:
    """A request body on its way in. Once refused, the route is told that its caller has gone."""

    def __init__(self, receive: Receive, cap: int) -> None:
        self.cap = cap
        self.complete = False
        self.refusal: Response | None = None
        self._receive = receive
        self._bytes = 0
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive(self) -> Message:
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.refusal = problem(408, detail=f"The body did not arrive within {BODY_SECONDS:.0f} seconds.")
            return {"type": "http.disconnect"}
        self._bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self._bytes > self.cap:
            self.refusal = _too_large(self.cap)
            return {"type": "http.disconnect"}
        return message


def _too_large(cap: int) -> Response:
    return problem(413, detail=f"At most {cap} bytes are taken here.")


async def _refuse(refusal: Response, receive: Receive, send: Send) -> None:
    """Answers, reads on for a moment without keeping anything, and has the connection closed.

    A socket that is closed on unread bytes is reset, and the reset can overtake the answer.
    """
    refusal.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": refusal.raw_headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
