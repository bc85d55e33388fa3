"""Everything that insights made of what it heard is taken away, to be made anew from the beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.events.capture import CardChanged

if TYPE_CHECKING:
    from shared.database import Connection

# In the order in which a hearer takes hold of them, so that neither waits for the other's. What stays: that a lead was
# erased, and what a card's change was, since no log keeps cards as they were.
_STAYS = {
    "standing": "erased",
    "held": "false",
    "market_day": "false",
    "lead": "false",
    "timeline": f"type = '{CardChanged.type}'",
    "reached": "false",
    "went_back": "false",
    "tally": "false",
    "flow": "false",
}
PROJECTIONS = ("lead", "timeline", "reached", "went_back", "tally", "flow", "market_day")


async def empty(connection: Connection) -> None:
    """In the caller's transaction; who hears or reads meanwhile waits for its end."""
    for table in _STAYS:
        await connection.execute(f"LOCK TABLE insights.{table} IN ACCESS EXCLUSIVE MODE")
    for table, condition in _STAYS.items():
        await connection.execute(
            f"CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM insights.{table} WHERE {condition}"
        )
        await connection.execute(f"TRUNCATE insights.{table}")
        if condition != "false":
            await connection.execute(f"INSERT INTO insights.{table} SELECT * FROM kept")
        await connection.execute("DROP TABLE kept")
    # Whoever follows the changes has seen as many as will be made again: only what comes after them is news.
    await connection.execute("ALTER SEQUENCE insights.flow_pos RESTART")
    await say_nothing_is_heard(connection)


async def say_nothing_is_heard(connection: Connection) -> None:
    """Numbers are told with the moment up to which everything was heard."""
    await connection.execute("UPDATE insights.heard SET until = 'epoch'")
