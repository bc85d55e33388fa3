"""How background work outlasts an outage of what it needs: it is done again and again, with growing pauses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from shared.database import is_transient

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0

logger = structlog.get_logger("service")


async def patiently(
    work: Callable[[], Awaitable[float]], interrupted: str, service: str, *passing: type[Exception]
) -> None:
    """Do `work` for ever; it answers after how many seconds it wants to be done again.

    What may pass by itself, the errors of `passing` too, is logged as `interrupted` and waited out. All else is raised.
    Work that went well for longer than a pause is begun again as soon as that which never failed.
    """
    pause = FIRST_PAUSE
    while True:
        began = time.monotonic()
        try:
            rest, pause = await work(), FIRST_PAUSE
        except Exception as error:
            if not (is_transient(error) or isinstance(error, passing)):
                raise
            logger.warning(interrupted, service=service, error=type(error).__name__)
            pause = pause if time.monotonic() - began < LONGEST_PAUSE else FIRST_PAUSE
            rest, pause = pause, min(pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(rest)
