"""`leadline replay`: brings what was said on a topic to its hearers again, from the speakers' logs.

Hearers drop what they have had, so it may be done at any time and as often as one likes: only what somebody missed has
an effect. On Kafka the events are published again; on PostgreSQL the hearers' positions are set back.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from deploy.carriers import check_carrier, made, positions, set_back, wake, works
from deploy.history import Wanted, beginnings, is_known, publish_again
from deploy.topic_map import declared, speakers_and_hearers
from shared.bus.kafka import RelayLost
from shared.bus.postgres import PostgresHearer
from shared.clock import EPOCH
from shared.database import Connection
from shared.events.topics import SPEAKERS, Topic
from shared.log import present
from shared.settings import Settings

# A hearer that has not come on for so long is not waited for.
PATIENCE_SECONDS = 20.0
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class CannotReplay(SystemExit):
    """The message says what to put right."""


def topic_named(name: str) -> Topic:
    try:
        return Topic(name if name.startswith("leads.") else f"leads.{name}")
    except ValueError:
        raise CannotReplay(f"There is no topic {name!r}; there are {', '.join(Topic)}.") from None


def moment_of(words: str, now: datetime) -> datetime:
    """A date, a time (UTC unless it says otherwise), or how long ago: `90m`, `36h`, `7d`. Empty is the beginning."""
    if not words:
        return EPOCH
    ago = re.fullmatch(r"(\d{1,4})\s*([smhdw])", words.strip())
    try:
        if ago:
            return max(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}), EPOCH)
        moment = datetime.fromisoformat(words.strip())
    except (ValueError, OverflowError):
        raise CannotReplay(
            f"{words!r} cannot be read as a time. Write 2026-11-21, 2026-11-21T14:30Z, or how long ago: 90m, 36h, 7d."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise CannotReplay(f"{words} is still to come; nothing has been said since.")
    return max(moment, EPOCH)


async def replay(settings: Settings, topic: Topic, since: datetime, lead_id: UUID | None) -> None:
    """Bring the events again, show how far it is, and say at the end what was done."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        await check_carrier(connection, settings.kafka_bootstrap_servers)
        if lead_id is not None and not await is_known(connection, lead_id):
            raise CannotReplay(f"No service in this database has ever said anything of lead {lead_id}.")
        wanted = Wanted((topic,), since, lead_id)
        if settings.kafka_bootstrap_servers:
            await _by_kafka(connection, settings, wanted)
        else:
            await _by_postgres(connection, topic, wanted)
        missing = sorted(SPEAKERS[topic] - set(await present(connection, sorted(SPEAKERS[topic]))))
        if missing:
            print(f"The log of {', '.join(missing)} lies in another database: run this there as well.")
    finally:
        await connection.close()


def bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    return Progress(*columns, console=Console(stderr=True))


async def published(connection: Connection, settings: Settings, wanted: Wanted) -> dict[str, int]:
    """Publish with a progress bar; answers how many events of each topic. Raises `CannotReplay` if Kafka is away."""
    assert settings.kafka_bootstrap_servers is not None
    with bar() as shown:
        task = shown.add_task("Publishing, by lane", total=len(wanted.lanes), more="")

        def tell(lanes: int, events: int) -> None:
            shown.update(task, completed=lanes, more=f"{events} events")

        try:
            return await publish_again(
                connection, settings.kafka_bootstrap_servers, settings.kafka_prefix, wanted, tell
            )
        except (KafkaError, RelayLost, TimeoutError) as error:
            raise CannotReplay(
                f"Kafka at {settings.kafka_bootstrap_servers} did not take it all ({type(error).__name__}). "
                "Run it again when Kafka is well: hearers drop what they have had."
            ) from None


async def _by_kafka(connection: Connection, settings: Settings, wanted: Wanted) -> None:
    counts = await published(connection, settings, wanted)
    print(f"{sum(counts.values())} events of {wanted.topics[0]} are published again; hearers drop what they have had.")


async def _by_postgres(connection: Connection, topic: Topic, wanted: Wanted) -> None:
    before, count = await beginnings(connection, wanted)
    hearers = [name for name in await made(connection) if name in speakers_and_hearers(declared())[topic][1]]
    lanes = {(speaker, lane) for speaker, found in before.items() for lane in found}
    goals: dict[str, dict[tuple[str, int], int]] = {}
    for service in hearers if lanes else ():
        runs = await works(connection, PostgresHearer, service)
        async with connection.transaction():
            reached = await positions(connection, service)
            await set_back(connection, service, before, wanted.since)
        if runs:
            goals[service] = {place: reached[place] for place in lanes & reached.keys()}
            await wake(connection, service)
    print(f"{count} events of {topic} are brought again to {', '.join(hearers)}.")
    late = await heard_again(connection, goals)
    for service in hearers:
        if service not in goals and lanes:
            print(f"{service} does not run: it hears them when it does.")
        elif service in late:
            print(f"{service} has not come to the end yet, and goes on.")
    if len(goals) == len(hearers) and not late:
        print("All have heard them.")


async def heard_again(
    connection: Connection, goals: dict[str, dict[tuple[str, int], int]], patience: float = PATIENCE_SECONDS
) -> Sequence[str]:
    """Wait until each service has come to its goals; answers those that ceased to come on."""
    with bar() as shown:
        tasks = {
            service: shown.add_task(f"Heard by {service}, by lane", total=len(goal), more="")
            for service, goal in goals.items()
        }
        moved, before = time.monotonic(), None
        while True:
            now = {service: await positions(connection, service) for service in goals}
            left = {
                service: [place for place, at in goal.items() if now[service].get(place, 0) < at]
                for service, goal in goals.items()
            }
            for service, task in tasks.items():
                shown.update(task, completed=len(goals[service]) - len(left[service]))
            late = [service for service, places in left.items() if places]
            if now != before:
                moved, before = time.monotonic(), now
            if not late or time.monotonic() - moved > patience:
                return late
            await asyncio.sleep(0.1)
