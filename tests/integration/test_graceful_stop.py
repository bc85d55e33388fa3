"""A server that is told to stop answers everybody who has reached it, and refuses whoever comes later."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.forked import Forked, fork
from tests.support.installation import free_ports


@contextmanager
def served() -> Iterator[tuple[Forked, int]]:
    port = free_ports(1)[0]
    process = fork("tests.support.slow_service", str(port))
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield process, port
    finally:
        process.kill()
        process.wait()


class Callers:
    """Ask one after the other until they are refused; `keep` their connections or make a new one each time."""

    def __init__(self, port: int, count: int, *, keep: bool, pause: float) -> None:
        self.port, self.keep, self.pause = port, keep, pause
        self.outcomes: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        for thread in self._threads:
            thread.join(10)

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                    connection.connect()
            except ConnectionRefusedError:
                self.outcomes["refused"] += 1
                return
            connection = self._ask(connection)
            time.sleep(self.pause)

    def _ask(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection | None:
        try:
            connection.request("POST", "/", b"{}", {} if self.keep else {"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            self.outcomes[str(answer.status)] += 1
            if self.keep and answer.getheader("connection") != "close":
                return connection
        except (OSError, http.client.HTTPException) as error:
            self.outcomes[type(error).__name__] += 1
        connection.close()
        return None


@pytest.mark.parametrize(("keep", "pause"), [(False, 0.0), (True, 0.0), (True, 0.04)])
def test_who_has_connected_is_answered_and_who_comes_later_is_refused(keep: bool, pause: float) -> None:
    with served() as (process, port):
        callers = Callers(port, 8, keep=keep, pause=pause)
        callers.start()
        time.sleep(0.3)
        process.terminate()
        began = time.monotonic()
        callers.end()
        process.wait(10)
        assert time.monotonic() - began < 3
    assert set(callers.outcomes) == {"200", "refused"}, callers.outcomes
    assert callers.outcomes["refused"] == 8


def test_a_silent_connection_does_not_hold_up_the_stop() -> None:
    with served() as (process, port), socket.create_connection(("127.0.0.1", port)):
        time.sleep(0.1)
        began = time.monotonic()
        process.terminate()
        process.wait(10)
        assert time.monotonic() - began < 2
