"""Who and what is let in: so many requests at a time, and of each a body of so many bytes that comes within so long.

It is decided while a request arrives, before anything parses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Unavailable
from shared.problems import problem

BODY_BYTES = 64 * 1024
MOST_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 20.0  # for a whole body: a phone on a bad line sends 64 kB in five
LINGER_SECONDS = 2.0


class Gate:
    """Refuses a body by its declared length or, as it arrives, once it has grown too large or taken too long.

    What comes on top of `most` requests in work is turned away: a queue that grows answers nobody in time. A request is
    in work once all of it is here: whoever sends slowly takes nobody's place. Paths that begin as one of `always` are
    not counted.
    """

    most = 1_000

    def __init__(
        self, app: ASGIApp, caps: Mapping[str, int], always: tuple[str, ...] = (), default: int = BODY_BYTES
    ) -> None:
        if any(cap > MOST_BODY_BYTES for cap in caps.values()):
            raise ValueError(f"no path takes a body of more than {MOST_BODY_BYTES} bytes")
        self._app = app
        self._caps = caps
        self._always = always
        self._default = default
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict[bytes, bytes](scope["headers"])
        if b"content-length" in headers or b"transfer-encoding" in headers:
            body = _Body(receive, self._caps.get(scope["path"], self._default))
            refusal = await body.arrive(int(headers.get(b"content-length", b"0")))
            if refusal is not None:
                return await body.refuse(refusal, send)
            receive = body.read
        counted = not scope["path"].startswith(self._always)
        if counted and self._inside >= self.most:
            raise Unavailable("too many requests are in work; ask again in a moment")
        self._inside += counted
        try:
            return await self._app(scope, receive, send)
        finally:
            self._inside -= counted


class _Body:
    """A body on its way in. It is small enough to be had whole before anybody looks at it."""

    def __init__(self, source: Receive, cap: int) -> None:
        self._source = source
        self._cap = cap
        self._bytes = bytearray()
        self._last: Message = {"type": "http.request", "more_body": True}

    async def arrive(self, declared: int) -> Response | None:
        """What to answer to a body that will not do."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while max(declared, len(self._bytes)) <= self._cap:
                    if not await self._more() and len(self._bytes) <= self._cap:
                        return None
        except TimeoutError:
            return problem(408, detail=f"The body did not arrive within {BODY_SECONDS:.0f} seconds.")
        return problem(413, detail=f"At most {self._cap} bytes are taken here.")

    async def _more(self) -> bool:
        self._last = await self._source()
        self._bytes += self._last.get("body", b"")
        return self._last.get("more_body", False)

    async def read(self) -> Message:
        """As the route asks for it: first the body, or that the caller left before its end; then what comes later."""
        last, self._last = self._last, {}
        if not last:
            return await self._source()
        return last if last["type"] != "http.request" else {"type": "http.request", "body": bytes(self._bytes)}

    async def refuse(self, refusal: Response, send: Send) -> None:
        """Answers, reads on for a moment without keeping anything, and has the connection closed.

        A socket that is closed on unread bytes is reset, and the reset can overtake the answer.
        """
        if unread := self._last.get("more_body", False):
            refusal.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": refusal.status_code, "headers": refusal.raw_headers})
        await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while unread:
                    self._bytes.clear()
                    unread = await self._more()
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
