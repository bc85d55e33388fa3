"""The funnel, read from the sums."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal

from services.insights.domain.funnel import NOW, Funnel, funnel

if TYPE_CHECKING:
    from shared.database import Connection

By = Literal["source", "channel", "campaign", "site", "product"]


async def read_funnel(
    connection: Connection, by: By, *, first: date | None, last: date | None, test: bool, groups: int
) -> Funnel:
    """Of the present cycles, or of what was first reached from the day `first` to the day `last`."""
    if first is None and last is None:
        days, given = "day = $2", [NOW]
    else:
        # `now` is as things stand, whatever the days.
        days = "(day BETWEEN $2 AND $3 AND day > $4 OR day = $4 AND measure LIKE 'now:%')"
        given = [first or NOW, last or date.max, NOW]
    rows = await connection.fetch(
        f"""SELECT {by} AS key, measure, sum(leads)::bigint AS leads FROM insights.tally
            WHERE test = $1 AND {days} GROUP BY 1, 2 HAVING sum(leads) > 0""",
        test,
        *given,
    )
    return funnel({(row["key"], row["measure"]): row["leads"] for row in rows}, groups)
