"""What became of the leads that came in a stretch of days: how many bought, and how long it took them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from services.insights.domain.lead import LeadView
from services.insights.funnel_answer import Question
from services.insights.heard import heard_until
from services.insights.schemas import Cohort, Days, LeadTimes
from shared.service import Runtime

if TYPE_CHECKING:
    import asyncpg

SHARES = (0.1, 0.5, 0.75, 0.9)

# A cycle begins where its lead is first heard of, or comes round again.
# As in the funnel, keys that differ by capitals alone are one, named as most are.
_COHORTS = """
    SELECT mode() WITHIN GROUP (ORDER BY {by}) AS key, grouping(lower({by})) = 1 AS is_total,
        count(*) AS leads, count(bought.at) AS customers,
        percentile_cont($1::float8[]) WITHIN GROUP (
            ORDER BY extract(epoch FROM bought.at - came.at)::float8 / 86400) AS days
    FROM insights.reached came
    JOIN insights.lead ON lead.lead_id = came.lead_id
    LEFT JOIN insights.reached bought
        ON bought.lead_id = came.lead_id AND bought.cycle = came.cycle AND bought.stage = 'customer'
    WHERE came.stage = CASE came.cycle WHEN 1 THEN 'captured' ELSE 'registered' END
        AND came.stage IN ('captured', 'registered')
        AND came.day BETWEEN $2 AND $3 AND lead.test = $4 AND lead.stage <> 'merged'
    GROUP BY GROUPING SETS ((lower({by})), ())
    ORDER BY is_total DESC, leads DESC, key
    LIMIT $5"""


async def answer(runtime: Runtime[LeadView], question: Question) -> LeadTimes:
    """The largest `groups` cohorts and their total; days of the installation's timezone, both counted in."""
    column = "came.product" if question.by == "product" else f"lead.{question.by}"
    days = question.first or date.min, question.last or date.max
    async with runtime.database.connection() as connection:
        as_of = await heard_until(runtime, connection)
        rows = await connection.fetch(_COHORTS.format(by=column), SHARES, *days, question.test, question.groups + 1)
    behind = (runtime.clock.now() - as_of).total_seconds()
    return LeadTimes(
        as_of=as_of,
        seconds_behind=max(round(behind, 1), 0.0),
        total=_cohort(rows[0]),
        groups=[_cohort(row) for row in rows[1:]],
    )


def _cohort(row: asyncpg.Record) -> Cohort:
    days = [round(share, 2) for share in row["days"] or ()]
    return Cohort(
        key="" if row["is_total"] else row["key"],
        leads=row["leads"],
        customers=row["customers"],
        conversion=row["customers"] / row["leads"] if row["leads"] else None,
        days=Days(p10=days[0], median=days[1], p75=days[2], p90=days[3]) if days else None,
    )
