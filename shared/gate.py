"""Who and what is let in: so many requests at a time, and of each a body of so many bytes that comes within so long.

It is decided while a request arrives, before anything parses it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Unavailable
from shared.problems import answer_to, problem

BODY_BYTES = 64 * 1024
MOST_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 20.0  # for a whole body: a phone on a bad line sends 64 kB in five
LINGER_SECONDS = 2.0

_GONE: Message = {"type": "http.disconnect"}


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
        declared = headers.get(b"content-length")
        cap = self._caps.get(scope["path"], self._default)
        until = asyncio.get_running_loop().time() + BODY_SECONDS
        visit = _Visit(self, scope["path"], receive, send, cap, endless=declared is None, deadline=until)
        if declared is not None and int(declared) > cap:
            return await visit.refuse(_too_large(cap))
        try:
            if declared is None and b"transfer-encoding" not in headers:
                self.enter(visit)
                return await self._app(scope, receive, send)
            await self._app(scope, visit.receive, visit.send)
        except Exception:
            if visit.refusal is None or visit.answered:
                raise
        finally:
            self._inside -= visit.counted
        if visit.refusal is not None and not visit.answered:
            await visit.refuse(visit.refusal)
        return None

    def enter(self, visit: _Visit) -> None:
        if visit.path.startswith(self._always):
            return
        if self._inside >= self.most:
            raise Unavailable("too many requests are in work; ask again in a moment")
        self._inside += 1
        visit.counted = True


@dataclasses.dataclass(slots=True)
class _Visit:
    """A request on its way in. Once refused, the route is told that its caller has gone."""

    gate: Gate
    path: str
    source: Receive
    sink: Send
    cap: int
    endless: bool
    deadline: float
    size: int = 0
    complete: bool = False
    counted: bool = False
    answered: bool = False
    refusal: Response | None = None

    async def receive(self) -> Message:
        if self.refusal is not None:
            return _GONE
        if self.complete:
            return await self.source()
        message = _GONE
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self.source()
            self.size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self.size > self.cap:
                self.refusal = _too_large(self.cap)
            elif self.complete:
                self.gate.enter(self)
        except TimeoutError:
            self.refusal = problem(408, detail=f"The body did not arrive within {BODY_SECONDS:.0f} seconds.")
        except Unavailable as full:
            self.refusal = answer_to(full)
        return message if self.refusal is None else _GONE

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self.answered:
            return  # the route's answer to a caller it believes gone
        self.answered = True
        if message["type"] == "http.response.start" and self.endless and not self.complete:
            MutableHeaders(scope=message)["Connection"] = "close"  # else we would read on for as long as it sends
        await self.sink(message)

    async def refuse(self, refusal: Response) -> None:
        """Answers, reads on for a moment without keeping anything, and has the connection closed.

        A socket that is closed on unread bytes is reset, and the reset can overtake the answer.
        """
        if not self.complete:
            refusal.headers["Connection"] = "close"
        await self.sink({"type": "http.response.start", "status": refusal.status_code, "headers": refusal.raw_headers})
        await self.sink({"type": "http.response.body", "body": refusal.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.complete:
                    self.complete = not (await self.source()).get("more_body", False)
        except TimeoutError:
            pass
        await self.sink({"type": "http.response.body", "body": b"", "more_body": False})


def _too_large(cap: int) -> Response:
    return problem(413, detail=f"At most {cap} bytes are taken here.")
