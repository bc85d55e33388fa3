"""A toy service as a process of its own: `python -m tests.support.toy_process hear|relay|speak`.

With TOY_KILL set it kills itself with SIGKILL at a named moment, now and then: `before_commit`, `after_commit`,
`after_ack` (when Kafka has taken a batch), `around_ack` (then or before). With TOY_MUTANT=position_first it moves its
position before its effects, which no test may let pass.
With TOY_HANG it hangs at its first batch: `waiting` in it for ever, `busy` so that nothing else runs, `publishing` it,
or `deaf`, its Kafka client having quietly ceased to fetch. TOY_STUCK are the seconds after which that counts.
With TOY_WAY its connections to Kafka lead elsewhere, see `go_by`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from aiokafka import client
from aiokafka.client import ConnectionGroup
from prometheus_client import REGISTRY

from shared import watchdog
from shared.bus import kafka, kafka_hearer, postgres, reading
from shared.consumer import Consumer
from shared.leads import Leads
from shared.logs import configure_logs
from tests.support.toys import HEARER, SPEAKER, speak, toy

CHANCE = float(os.environ.get("TOY_CHANCE", "0.05"))
dice = random.Random(int(os.environ.get("TOY_SEED", "0")))


def perhaps_die() -> None:
    if dice.random() < CHANCE:
        os.kill(os.getpid(), signal.SIGKILL)


def die_before_commit() -> None:
    save = Leads.save

    async def saved_then_dead(self: Any, work: Any) -> None:
        await save(self, work)
        perhaps_die()

    Leads.save = saved_then_dead  # type: ignore[method-assign]


def die_after_commit() -> None:
    """The effects are there; the position in Kafka is not. In PostgreSQL both are one commit."""
    for hearer, taking in ((kafka_hearer.KafkaHearer, "_commit"), (postgres.PostgresHearer, "turn")):
        step = getattr(hearer, taking)

        async def stepped(self: Any, *given: Any, step: Any = step) -> Any:
            if self.__class__ is kafka_hearer.KafkaHearer:
                if self._done:
                    perhaps_die()
                return await step(self, *given)
            answer = await step(self, *given)
            if answer:
                perhaps_die()
            return answer

        setattr(hearer, taking, stepped)


def die_around_ack() -> None:
    die_after_ack()
    publish = kafka.KafkaRelay._publish

    async def dead_or_published(self: Any, *given: Any) -> None:
        perhaps_die()  # a relay that had noted its position already would lose the batch
        await publish(self, *given)

    kafka.KafkaRelay._publish = dead_or_published  # type: ignore[method-assign]


def die_after_ack() -> None:
    publish = kafka.KafkaRelay._publish

    async def published_then_dead(self: Any, *given: Any) -> None:
        await publish(self, *given)
        perhaps_die()

    kafka.KafkaRelay._publish = published_then_dead  # type: ignore[method-assign]


def position_first() -> None:
    """The mutant: say that a batch is done, then do it."""
    turn, apply = kafka_hearer.KafkaHearer._turn, kafka_hearer.KafkaHearer._apply

    async def kafka_turn(self: Any, client: Any) -> None:
        async def batch(got: Any) -> None:
            if got:
                await client.commit({partition: records[-1].offset + 1 for partition, records in got.items()})
                perhaps_die()
            await apply(self, got)

        self._apply = batch
        await turn(self, client)

    kafka_hearer.KafkaHearer._turn = kafka_turn  # type: ignore[method-assign]

    async def hand_on(self: Any, connection: Any, stored: Any, drained_at: Any) -> None:
        async with self.database.transaction() as inner:
            await self.seal(inner, stored, drained_at)
        perhaps_die()
        await self.consumer.take(stored)

    postgres.PostgresHearer.hand_on = hand_on  # type: ignore[method-assign]


async def for_ever(*_given: Any) -> None:
    await asyncio.Event().wait()


async def busily_for_ever(*_given: Any) -> None:
    time.sleep(3600)


async def never_answered(*_given: Any) -> bool:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return False


def go_deaf() -> None:
    turn = kafka_hearer.KafkaHearer._turn

    async def turned_deaf(self: Any, client: Any) -> None:
        await turn(self, client)
        if client.assignment() and not gone_deaf:
            print("deaf from now on", flush=True)
            gone_deaf.append(client)
            client._fetcher._proc_fetch_request = never_answered

    gone_deaf: list[Any] = []
    kafka_hearer.KafkaHearer._turn = turned_deaf  # type: ignore[method-assign]


def hang(how: str) -> None:
    if how == "deaf":
        go_deaf()
    elif how == "publishing":
        kafka.KafkaRelay._publish = for_ever  # type: ignore[method-assign]
    else:
        Consumer.take = {"waiting": for_ever, "busy": busily_for_ever}[how]  # type: ignore[method-assign]


def lose_patience_after(seconds: float) -> None:
    """All that may take long within one round is shortened with it: a round is to end well before its time is up."""
    watchdog.STUCK_SECONDS = reading.SILENT_SECONDS = seconds
    kafka.ACK_SECONDS = seconds / 2
    kafka_hearer.DEAF_SECONDS = seconds
    kafka_hearer.COMMITTED_SECONDS = 1.0
    kafka.STOP_SECONDS = kafka_hearer.STOP_SECONDS = seconds / 4


MOMENTS = {
    "before_commit": die_before_commit,
    "after_commit": die_after_commit,
    "after_ack": die_after_ack,
    "around_ack": die_around_ack,
}


def go_by(way: str) -> None:
    """`coordination:PORT` or `all:PORT`: these connections to the broker go to that port instead of its own."""
    which, _, port = way.partition(":")
    get, make = client.AIOKafkaClient._get_conn, client.create_conn
    group: ContextVar[int] = ContextVar("group", default=ConnectionGroup.DEFAULT)

    async def got(self: Any, node_id: Any, **more: Any) -> Any:
        group.set(more.get("group", ConnectionGroup.DEFAULT))
        return await get(self, node_id, **more)

    async def made(host: str, own_port: int, **more: Any) -> Any:
        diverted = which == "all" or group.get() == ConnectionGroup.COORDINATION
        return await make(host, int(port) if diverted else own_port, **more)

    client.AIOKafkaClient._get_conn = got  # type: ignore[method-assign]
    client.create_conn = made


def tell_what_came_again() -> None:
    again = REGISTRY.get_sample_value("leadline_consumer_redelivered_total", {"service": "scoring"})
    print(f"heard again: {again or 0:.0f}", flush=True)


async def main(role: str) -> None:
    dsn, bootstrap, prefix = os.environ["TOY_DSN"], os.environ.get("TOY_KAFKA") or None, os.environ["TOY_PREFIX"]
    speaker, hearer = toy(SPEAKER, dsn, bootstrap, prefix), toy(HEARER, dsn, bootstrap, prefix)
    if role == "speak":
        await _speak(speaker)
        return
    parts = {"hear": ("consume",), "relay": ("relay",)}[role]
    async with speaker.running(parts), hearer.running(parts):
        print("running", flush=True)
        told_to_stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_what_came_again)
        await told_to_stop.wait()


async def _speak(speaker: Any) -> None:
    """Say what is asked on standard input, `<word> <lead id> ...` a line, and answer a line when it is committed."""
    async with speaker.running(()):
        await speaker.prepared.wait()
        print("running", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, *lead_ids = line.split()
            await speak(speaker, [UUID(lead_id) for lead_id in lead_ids], word)
            print("said", flush=True)


if __name__ == "__main__":
    configure_logs("toy", console=False)
    if moment := os.environ.get("TOY_KILL"):
        MOMENTS[moment]()
    if how := os.environ.get("TOY_HANG"):
        hang(how)
    if way := os.environ.get("TOY_WAY"):
        go_by(way)
    if seconds := os.environ.get("TOY_STUCK"):
        lose_patience_after(float(seconds))
    if os.environ.get("TOY_MUTANT") == "position_first":
        position_first()
    asyncio.run(main(sys.argv[1]))
