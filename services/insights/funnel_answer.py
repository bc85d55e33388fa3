"""The funnel, read from the sums, with the moment up to which they hold."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import TYPE_CHECKING, Literal

from services.insights.domain.funnel import Funnel, funnel
from services.insights.domain.lead import LeadView
from services.insights.domain.tally import NOW
from services.insights.heard import heard_until
from services.insights.schemas import FlowBack, FunnelAnswer, Group, Left, StageCount
from shared.service import Runtime

if TYPE_CHECKING:
    from shared.database import Connection

By = Literal["source", "channel", "campaign", "site", "product"]


@dataclasses.dataclass(frozen=True)
class Question:
    """Of the present cycles, or of what was first reached from the day `first` to the day `last`, each or none."""

    by: By = "source"
    first: date | None = None
    last: date | None = None
    test: bool = False
    groups: int = 50


async def answer(runtime: Runtime[LeadView], question: Question) -> FunnelAnswer:
    async with runtime.database.connection() as connection:
        # Before the sums are read: they are then never older than they say.
        as_of = await heard_until(runtime, connection)
        found = await _read(connection, question)
    behind = (runtime.clock.now() - as_of).total_seconds()
    return FunnelAnswer(
        as_of=as_of,
        seconds_behind=max(round(behind, 1), 0.0),
        stages=[StageCount(**dataclasses.asdict(stage)) for stage in found.stages],
        groups=[Group(**dataclasses.asdict(group)) for group in found.groups],
        back=[FlowBack.model_validate({"from": w.frm, "to": w.to, "leads": n, "word": w.word}) for w, n in found.back],
        left=Left(**{str(stage): leads for stage, leads in found.left.items()}),
    )


async def _read(connection: Connection, question: Question) -> Funnel:
    if question.first is None and question.last is None:
        days, given = "day = $2", [NOW]
    else:
        # How many are in a stage now does not depend on the days.
        days = "(day BETWEEN $2 AND $3 AND day > $4 OR day = $4 AND measure LIKE 'now:%')"
        given = [question.first or NOW, question.last or date.max, NOW]
    rows = await connection.fetch(
        f"""SELECT {question.by} AS key, measure, sum(leads)::bigint AS leads FROM insights.tally
            WHERE test = $1 AND {days} GROUP BY 1, 2 HAVING sum(leads) > 0""",
        question.test,
        *given,
    )
    return funnel({(row["key"], row["measure"]): row["leads"] for row in rows}, question.groups)
