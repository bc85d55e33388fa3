"""The desk: offers the leads that wait, the hottest first, each to the rep whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

import structlog

from services.handover import offering, reps
from services.handover.domain.lead import SalesLead
from services.handover.domain.rotation import Rep, Wanted, choose_rep
from services.handover.repository import SalesLeads
from services.handover.settings import HandoverSettings
from services.handover.wake import keep_looking
from services.handover.worklist import ORDER
from shared.database import is_transient
from shared.events.envelope import Actor
from shared.leads import Cause, Lead
from shared.lifecycle import Stage
from shared.trace import step

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

BATCH = 50
IDLE_SECONDS = 0.25
_WAITING = "l.listed AND NOT l.test AND l.stage = 'sql' AND l.waits_for"

logger = structlog.get_logger("desk")


class Desk:
    """Several may work at once: the rotation is locked while one chooses."""

    def __init__(self, runtime: Runtime[SalesLead]) -> None:
        self.runtime = runtime
        self.settings = cast("HandoverSettings", runtime.settings)
        self._seen: object = None
        self._begun = False

    async def work(self) -> int:
        """Offer what can be offered now; answers how many offers were made."""
        try:
            await self._begin()
            made = await self._offer_new()
            return made or await self._offer_waiting()
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("offering_interrupted", error=type(error).__name__)
            return 0

    async def _begin(self) -> None:
        """Whoever the settings name as the fallback owner is there before the first offer."""
        if self._begun:
            return
        if self.settings.fallback_email:
            async with self.runtime.database.transaction() as connection:
                await reps.ensure_fallback(connection, self.settings.fallback_email, self.runtime.clock.now())
        self._begun = True

    async def _offer_new(self) -> int:
        async with self.runtime.database.connection() as connection:
            if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM handover.lead l WHERE {_WAITING} = '')"):
                return 0
        _, looked_at, _ = await self._turn(f"{_WAITING} = ''", None)
        return len(looked_at)

    async def _offer_waiting(self) -> int:
        """Look at those who wait for a rep or for room, when what reps there are has changed since the last look."""
        async with self.runtime.database.connection() as connection:
            if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM handover.lead l WHERE {_WAITING} <> '')"):
                return 0
            able = _able(await reps.in_rotation(connection))
        if able == self._seen:
            return 0
        total, last = 0, None
        while True:
            made, looked_at, able = await self._turn(f"{_WAITING} <> ''", last)
            total += made
            if len(looked_at) < BATCH or (not made and not any(room for _, room, *_ in able)):
                self._seen = able
                return total
            last = looked_at[-1]

    async def _turn(self, which: str, after: UUID | None) -> tuple[int, list[UUID], list[tuple[object, ...]]]:
        """Go through the next of `which`: how many offers were made, to which leads it was tried, and who is able."""
        runtime = self.runtime
        async with runtime.database.transaction() as connection:
            await reps.lock_rotation(connection)
            rotation = await reps.in_rotation(connection)
            lead_ids = await _hottest(connection, which, after)
            now = runtime.clock.now()
            work = await runtime.leads.open(connection, lead_ids, Cause(time=now), now, create=False)
            made = 0
            for lead_id in lead_ids:
                lead = work.leads.get(lead_id)
                if lead is not None and lead.standing.stage is Stage.sql and lead.state.listed:
                    made += self._offer(lead, rotation, now)
            await reps.keep_turns(connection, rotation)
            await runtime.leads.save(work)
        return made, lead_ids, _able(rotation)

    def _offer(self, lead: Lead[SalesLead], rotation: list[Rep], now: datetime) -> bool:
        """Offer this lead, or note what it waits for. `rotation` is kept up to date."""
        state = lead.state
        wanted = Wanted(lead.standing.product, state.attempts)
        choice = choose_rep(rotation, wanted, state.refused, self.settings.attempts)
        if choice.rep is None:
            state.waits_for = choice.why
            return False
        rule = Actor("rule", offering.FALLBACK if choice.fallback else offering.ROUND_ROBIN)
        lead.begin(Cause(time=now, trace=step(state.trace), event_id=state.cause_id, actor=rule), now)
        offering.offer(lead, choice, self.settings.hours.after(now, self.settings.offer_lasts), now)
        turn = max(rep.turn for rep in rotation) + 1
        rotation[rotation.index(choice.rep)] = choice.rep.offered(turn)
        return True


async def run(runtime: Runtime[SalesLead]) -> None:
    told = cast("SalesLeads", runtime.leads.repository).wake.desk
    await keep_looking(told, Desk(runtime).work, IDLE_SECONDS)


def _able(rotation: Sequence[Rep]) -> list[tuple[object, ...]]:
    """All that decides who can be offered something, apart from whose turn it is."""
    return [(rep.rep_id, rep.has_room, rep.active, rep.products, rep.fallback, rep.capacity) for rep in rotation]


async def _hottest(connection: Connection, which: str, after: UUID | None) -> list[UUID]:
    beyond = f"({ORDER}) > (SELECT {ORDER} FROM handover.lead l WHERE l.lead_id = $2)" if after else "true"
    rows = await connection.fetch(
        f"SELECT l.lead_id FROM handover.lead l WHERE {which} AND {beyond} ORDER BY {ORDER} LIMIT $1",
        BATCH,
        *([after] if after else []),
    )
    return [row["lead_id"] for row in rows]
