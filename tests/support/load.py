"""Callers who go on asking while services come and go: where one is refused it asks at the next address."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx

from tests.support.installation import KEY
from tests.support.plain_http import NO_CERTIFICATES

BODIES = (
    {"activity": {"type": "demo_requested"}},
    {
        "activity": {"type": "newsletter_subscribed"},
        "consent": {"marketing_email": {"granted": True, "text": "Write to me."}},
    },
)


class Load:
    """Posts leads from threads, in turn somebody who asks for a demo and somebody who wants to be written to.

    `ports` are capture's; it may change while the load runs. `errors` counts everything that was neither 202 nor a
    refused connection. Odd callers keep their connections, even ones make a new one for each lead.
    """

    def __init__(self, ports: list[int], *, callers: int = 4, pause: float = 0.25) -> None:
        self.ports = ports
        self.leads: dict[UUID, str] = {}
        self.errors: Counter[str] = Counter()
        self._pause = pause
        self._ended = threading.Event()
        self._kinds = itertools.count()
        self._turns = itertools.count()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 1,)) for number in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def of_kind(self, activity: str) -> set[UUID]:
        return {lead for lead, kind in list(self.leads.items()) if kind == activity}

    def _run(self, keep: bool) -> None:
        limits = httpx.Limits() if keep else httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(
            headers={"Authorization": f"Bearer {KEY}"}, timeout=10, limits=limits, verify=NO_CERTIFICATES
        ) as client:
            while not self._ended.is_set():
                self._post(client)
                time.sleep(self._pause)

    def _post(self, client: httpx.Client) -> None:
        body = {"site": "demo", "email": f"p{uuid4().hex}@norrvik.com", **BODIES[next(self._kinds) % 2]}
        key = {"Idempotency-Key": uuid4().hex}
        for port in self._addresses():
            try:
                answer = client.post(f"http://127.0.0.1:{port}/v1/leads", json=body, headers=key)
            except httpx.ConnectError:
                continue
            except httpx.TransportError as error:
                self.errors[type(error).__name__] += 1
                continue
            if answer.status_code == 202:
                self.leads[UUID(answer.json()["lead_id"])] = body["activity"]["type"]
                return
            self.errors[f"{answer.status_code} {answer.text}"] += 1

    def _addresses(self) -> Iterator[int]:
        """Each caller asks at another address first; where all refuse, it asks again until one answers."""
        first = next(self._turns)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            ports = list(self.ports)
            for place in range(len(ports)):
                yield ports[(first + place) % len(ports)]
            time.sleep(0.02)
        self.errors["nobody answers"] += 1
