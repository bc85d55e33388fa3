"""Tells the desk and the mailer that there is something to do, a moment before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from shared.lifecycle import Stage

if TYPE_CHECKING:
    from services.handover.domain.lead import SalesLead
    from shared.leads import Lead

# Who is told looks before the commit is through, and so looks again at these distances.
LOOKS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08)


class Wake:
    def __init__(self) -> None:
        self.desk = asyncio.Event()
        self.mailer = asyncio.Event()

    def look(self, leads: Sequence[Lead[SalesLead]]) -> None:
        for lead in leads:
            state = lead.state
            if lead.standing.stage is Stage.sql and state.listed and not (state.waits_for or lead.standing.test):
                self.desk.set()
            if any(offer.tell for offer in state.offers.values()):
                self.mailer.set()


async def keep_looking(told: asyncio.Event, look: Callable[[], Awaitable[int]], idle_seconds: float) -> None:
    """Call `look` for ever: again at once while it finds something, soon after being told, else now and then."""
    while True:
        if await look():
            continue
        try:
            # Not wait_for: a stop that comes just as it is told would be lost in it (until Python 3.12).
            async with asyncio.timeout(idle_seconds):
                await told.wait()
        except TimeoutError:
            continue
        told.clear()
        for pause in LOOKS_SECONDS:
            if await look():
                break
            await asyncio.sleep(pause)
