"""How much each part of an installation works: CPU seconds by service, database, carrier and caller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

import psutil

from shared.events.topics import SERVICES
from tests.support.installation import Installation


class Parts:
    """The processes of a running installation.

    `watcher` is the database's process that serves the measuring itself: its work is the caller's, not the database's.
    `kafka` is the broker's process, where there is one.
    """

    def __init__(self, made: Installation, watcher: int, kafka: int | None = None) -> None:
        self._services = {service: psutil.Process(made.process_of(service)) for service in SERVICES}
        self._watcher = psutil.Process(watcher)
        self._kafka = psutil.Process(kafka) if kafka else None

    def worked(self) -> dict[str, float]:
        """CPU seconds of each part since it was started."""
        found = {service: seconds_of(process) for service, process in self._services.items()}
        server, watching, own = self._watcher.parent(), seconds_of(self._watcher), os.times()
        assert server is not None
        found["PostgreSQL"] = with_children(server) - watching
        if self._kafka is not None:
            found["Kafka"] = seconds_of(self._kafka)
        found["caller"] = own.user + own.system + watching
        return found


def machine() -> float:
    """CPU seconds that the machine has worked since it was started, whoever for."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {part: after[part] - before[part] for part in after}


def with_children(server: psutil.Process) -> float:
    """Also of those that have ended."""
    times = server.cpu_times()
    running = sum(seconds_of(one) for one in server.children(recursive=True))
    return times.user + times.system + times.children_user + times.children_system + running


def seconds_of(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0
