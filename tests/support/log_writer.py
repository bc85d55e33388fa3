"""A writer of the log as a process of its own: says things, pauses with the transaction open, rolls some of it back.

After each commit it writes the batch to its journal and syncs it, so that the journal never knows more than the log.
`python -m tests.support.log_writer <journal> <seed> <lead id> ...`
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from uuid import UUID

from shared.database import is_transient
from shared.events.capture import ActivityRecorded
from shared.leads import Cause
from tests.support.toys import SPEAKER, toy


async def main(journal: str, seed: str, lead_ids: list[UUID]) -> None:
    dice = random.Random(int(seed))
    speaker = toy(SPEAKER, os.environ["TOY_DSN"])
    with open(journal, "a", encoding="utf-8") as kept:
        while True:
            chosen = dice.sample(lead_ids, k=dice.randint(1, 20))
            try:
                said = await _write(speaker, chosen, dice)
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(0.05)
                continue
            kept.writelines(f"{event_id}\n" for event_id in said)
            kept.flush()
            os.fsync(kept.fileno())


async def _write(speaker: object, chosen: list[UUID], dice: random.Random) -> list[UUID]:
    leads, clock = speaker.leads, speaker.clock  # type: ignore[attr-defined]
    async with speaker.database.connection() as connection:  # type: ignore[attr-defined]
        transaction = connection.transaction()
        await transaction.start()
        now = clock.now()
        work = await leads.open(connection, chosen, Cause(time=now), now, create=True)
        said = [lead.say(ActivityRecorded(activity="said")).id for lead in work.leads.values() for _ in range(2)]
        await leads.save(work)
        if dice.random() < 0.3:
            await asyncio.sleep(dice.random() * 0.05)
        if dice.random() < 0.1:
            await transaction.rollback()
            return []
        await transaction.commit()
        return said


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [UUID(one) for one in sys.argv[3:]]))
