"""What can happen to an installation: its processes die, stop and come back, and so do the servers beneath it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
import httpx
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from shared.events.topics import SERVICES, Topic
from tests.support.installation import KEY, Installation
from tests.support.mail_sink import MailSink
from tests.support.plain_http import NO_CERTIFICATES

HEAL_SECONDS = 90.0


@dataclass
class Wound:
    """A fault that was done: its kind, what it hit, and how long after its end a lead went all the way again."""

    kind: str
    what: str
    recovered: float


@dataclass
class Harm:
    """Does one thing after the other to an installation, each chosen by the dice.

    Servers that are not given are not its own: they stay as they are.
    """

    inst: Installation
    dice: random.Random
    postgres: EmbeddedPostgres | None = None
    kafka: KafkaServer | None = None
    mails: MailSink | None = None
    done: list[Wound] = field(default_factory=list[Wound])
    probes: list[str] = field(default_factory=list[str])

    def one_more(self) -> Wound:
        kind = self.dice.choice(self._kinds())
        what, healed = kind()
        self._until_a_lead_goes_all_the_way()
        wound = Wound(kind.__name__.strip("_").replace("_", " "), what, time.monotonic() - healed)
        self.done.append(wound)
        return wound

    def _kinds(self) -> list[Callable[[], tuple[str, float]]]:
        kinds = [
            *[self._kill_a_service] * 4,
            self._kill_all_services,
            self._stop_a_service_in_order,
            self._pause_a_service,
            self._cut_connections,
        ]
        if self.postgres is not None:
            kinds += [self._kill_postgres, self._pause_postgres]
        if self.kafka is not None:
            kinds += [self._kill_kafka, self._pause_kafka]
        if self.mails is not None:
            kinds += [self._kill_the_mail_server, self._pause_the_mail_server]
        if "KAFKA_BOOTSTRAP_SERVERS" in self.inst.environment:
            kinds.append(self._send_events_again)
        return kinds

    def _kill_a_service(self) -> tuple[str, float]:
        service = self.dice.choice(SERVICES)
        self._signal(service, signal.SIGKILL)
        return service, time.monotonic()

    def _kill_all_services(self) -> tuple[str, float]:
        for service in SERVICES:
            self._signal(service, signal.SIGKILL)
        return "all five", time.monotonic()

    def _stop_a_service_in_order(self) -> tuple[str, float]:
        service = self.dice.choice(SERVICES)
        self._signal(service, signal.SIGTERM)
        return service, time.monotonic()

    def _pause_a_service(self) -> tuple[str, float]:
        service, seconds = self.dice.choice(SERVICES), self.dice.uniform(1, 8)
        pid = self._signal(service, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return f"{service} for {seconds:.1f} s", time.monotonic()

    def _kill_postgres(self) -> tuple[str, float]:
        assert self.postgres is not None
        away = self.dice.uniform(0, 4)
        for process in self._postgres_processes()[:1]:
            process.kill()
        time.sleep(away)
        healed = time.monotonic()
        self.postgres.start()
        return f"away for {away:.1f} s", healed

    def _pause_postgres(self) -> tuple[str, float]:
        seconds = self.dice.uniform(1, 6)
        processes = self._postgres_processes()
        for process in processes:
            process.suspend()
        time.sleep(seconds)
        for process in processes:
            process.resume()
        return f"for {seconds:.1f} s", time.monotonic()

    def _cut_connections(self) -> tuple[str, float]:
        async def cut() -> int:
            connection = await asyncpg.connect(self.inst.dsn)
            try:
                rows = await connection.fetch(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()"""
                )
                return len(rows)
            finally:
                await connection.close()

        return f"{asyncio.run(cut())} of them", time.monotonic()

    def _kill_kafka(self) -> tuple[str, float]:
        assert self.kafka is not None
        away = self.dice.uniform(0, 8)
        self.kafka.kill()
        time.sleep(away)
        healed = time.monotonic()
        self.kafka.start()
        return f"away for {away:.1f} s", healed

    def _pause_kafka(self) -> tuple[str, float]:
        assert self.kafka is not None
        seconds = self.dice.uniform(1, 12)
        broker = psutil.Process(int((self.kafka.folder / "kafka.pid").read_text().split()[0]))
        broker.suspend()
        time.sleep(seconds)
        broker.resume()
        return f"for {seconds:.1f} s", time.monotonic()

    def _kill_the_mail_server(self) -> tuple[str, float]:
        assert self.mails is not None
        away = self.dice.uniform(0, 4)
        self.mails.kill()
        time.sleep(away)
        self.mails.start()
        return f"away for {away:.1f} s", time.monotonic()

    def _pause_the_mail_server(self) -> tuple[str, float]:
        assert self.mails is not None
        seconds = self.dice.uniform(1, 6)
        process = self.mails.pause()
        time.sleep(seconds)
        process.resume()
        return f"for {seconds:.1f} s", time.monotonic()

    def _send_events_again(self) -> tuple[str, float]:
        """Three in ten of the last records of a topic are on it a second time, as a producer in doubt puts them."""
        topic = self.inst.environment["KAFKA_TOPIC_PREFIX"] + self.dice.choice(
            [t for t in Topic if t is not Topic.CARD]
        )
        count = asyncio.run(send_again(self.inst.environment["KAFKA_BOOTSTRAP_SERVERS"], topic, 0.3, self.dice))
        return f"{count} of {topic.partition('.')[2]}", time.monotonic()

    def _signal(self, service: str, number: signal.Signals) -> int:
        pid = self.inst.until(lambda: self.inst.process_of(service), 40)
        os.kill(pid, number)
        return pid

    def _postgres_processes(self) -> list[psutil.Process]:
        assert self.postgres is not None
        postmaster = psutil.Process(int((self.postgres.data_dir / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    def _until_a_lead_goes_all_the_way(self) -> None:
        """From the form to the rep's worklist and the console."""
        lead = self.inst.until(self._probe, HEAL_SECONDS)
        self.inst.until(lambda: asyncio.run(_arrived(self.inst.dsn, lead)), HEAL_SECONDS)

    def _probe(self) -> str:
        body = {"site": "demo", "email": f"probe{self.dice.getrandbits(64):x}@norrvik.com"}
        answer = httpx.post(
            f"{self.inst.url('capture')}/v1/leads",
            json={**body, "activity": {"type": "demo_requested"}},
            headers={"Authorization": f"Bearer {KEY}", "Idempotency-Key": body["email"]},
            timeout=5,
            verify=NO_CERTIFICATES,
        )
        lead: str = answer.json()["lead_id"]
        return self._remember(lead)

    def _remember(self, lead: str) -> str:
        self.probes.append(lead)
        return lead


async def _arrived(dsn: str, lead: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        seen = await connection.fetchval(
            """SELECT count(*) FROM handover.standing h JOIN insights.standing i USING (lead_id)
               WHERE lead_id = $1 AND h.stage = 'handed_over' AND i.stage = 'handed_over'""",
            lead,
        )
    finally:
        await connection.close()
    return bool(seen)


async def send_again(bootstrap: str, topic: str, part: float, dice: random.Random, most: int = 500) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await consumer.start()
    await producer.start()
    try:
        places = [TopicPartition(topic, number) for number in await producer.partitions_for(topic)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        count = 0
        for place in places:
            start = max(0, ends[place] - most // max(len(places), 1))
            if start == ends[place]:
                continue
            consumer.seek(place, start)
            for record in (await consumer.getmany(place, timeout_ms=1000)).get(place, ()):
                if dice.random() < part:
                    await producer.send_and_wait(
                        topic, record.value, key=record.key, partition=place.partition, headers=list(record.headers)
                    )
                    count += 1
        return count
    finally:
        await producer.stop()
        await consumer.stop()
