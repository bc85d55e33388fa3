"""A caller as it should be made: told 503 and when to come again, it comes again."""

from __future__ import annotations

import time
from typing import Self

import httpx

from tests.support.plain_http import NO_CERTIFICATES

PATIENCE_SECONDS = 60.0


class ComingAgain(httpx.HTTPTransport):
    """A machine that stands still for some seconds has an outage, which tests of other things are not about.

    One client after the other may use it: its connections stay until `end`.
    """

    def __init__(self) -> None:
        # Sooner than the services, which let go of silent callers after five seconds.
        super().__init__(verify=NO_CERTIFICATES, limits=httpx.Limits(keepalive_expiry=2.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def close(self) -> None:
        return

    def end(self) -> None:
        super().close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = super().handle_request(request)
            after = answer.headers.get("Retry-After")
            if answer.status_code != 503 or after is None or time.monotonic() > until:
                return answer
            answer.read()
            time.sleep(float(after))
