"""Ends a process whose background work hangs, so that whoever started it starts it again.

Work that fails says so. Work that waits for ever inside a client library, or never gives the event loop back, says
nothing; so each piece says when it comes round (`Progress.alive`), in an outage too. A thread looks on, because an
event loop that hangs could not.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time

import structlog

from shared.bus.progress import Progress

STUCK_SECONDS = 60.0

logger = structlog.get_logger("service")


class Watchdog:
    """Looks after what has come round at least once."""

    def __init__(self, service: str, progress: Progress) -> None:
        self._service = service
        self._progress = progress
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._look_on, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def _look_on(self) -> None:
        looked = time.monotonic()
        while not self._ended.wait(STUCK_SECONDS / 12):
            now = time.monotonic()
            if now - looked > STUCK_SECONDS / 2:
                # This very thread was stopped, as the whole process must have been: nobody could come round.
                self._progress.all_alive()
            elif stuck := self._progress.silent_for(STUCK_SECONDS):
                logger.critical("stuck", service=self._service, work=stuck, lag=self._progress.lag)
                faulthandler.dump_traceback()
                stop_hard()
            looked = now


def stop_hard() -> None:
    """Leave at once; whoever started the process starts it again, and nothing acknowledged is lost by it."""
    os._exit(1)
