"""A service that comes back from a backup that is older than what it has done since. Part of `make faults`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from services.handover.app import service as handover
from services.nurture.app import service as nurture
from shared.bus.kafka import ensure_topics, producing, publish
from shared.clock import SystemClock
from shared.events.codec import Stored
from shared.events.topics import Topic
from shared.service import Runtime, Service
from tests.support import sales
from tests.support.line import Line
from tests.support.nurturing import Told, client, unsubscribe_path
from tests.support.servers import Databases
from tests.support.set_clock import SetClock
from tests.support.smtp import Inbox, inbox
from tests.support.tables import with_tables
from tests.support.telling import leadline

pytestmark = [pytest.mark.long, pytest.mark.kafka, pytest.mark.timeout(240)]

KEY = "toy-operator-key"


@dataclass
class Alone:
    """A service with a database of its own on Kafka, where the others are told of by the test."""

    service: Service[Any]
    bootstrap: str
    dsn: str
    mails: Inbox
    folder: Path
    clock: SetClock
    prefix: str = field(default_factory=lambda: f"r{uuid4().hex[:6]}.")

    async def tell(self, *told: Iterable[Stored]) -> None:
        """What others say, as their relays publish it."""
        async with producing(self.bootstrap) as producer:
            await publish(producer, self.prefix, [event for some in told for event in some])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Runtime[Any]]:
        settings: dict[str, Any] = {
            "database_url": self.dsn, "api_key": KEY, "kafka_bootstrap_servers": self.bootstrap,
            "kafka_prefix": self.prefix, "smtp_url": self.mails.url, "data_dir": self.folder,
        }  # fmt: skip
        runtime = Runtime(self.service, self.service.settings(**settings), self.clock)
        async with runtime.running():
            await runtime.prepared.wait()
            yield runtime

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def until(self, query: str, wanted: object) -> None:
        found = await Line(self.dsn, self.bootstrap, self.prefix).until(query, wanted)
        assert found == wanted, f"{found} instead of {wanted}: {query}"

    async def until_sent(self, step: str, count: int) -> None:
        await self.until(f"SELECT count(*) FROM nurture.touch WHERE step = '{step}' AND state = 'sent'", count)

    async def until_published(self) -> None:
        name = self.service.name
        await self.until(
            f"""SELECT (SELECT max(pos) FROM bus.{name}_log)
                    = (SELECT max(pos) FROM {name}.reading WHERE reader = 'relay')""",
            True,
        )

    async def restored(self) -> str:
        return await leadline(Line(self.dsn, self.bootstrap, self.prefix), "restore", self.service.name)


NURTURED = {
    "touches": "SELECT lead_id, cycle, journey, step, state, message_id FROM nurture.touch ORDER BY 1, 2, 3, 4",
    "ways": "SELECT lead_id, cycle, journey, step, entered_at, ended_because FROM nurture.enrolment ORDER BY 1, 2, 3",
    "suppressions": "SELECT fingerprint, purpose, since, reason FROM nurture.suppression ORDER BY 1, 2",
    "standings": "SELECT lead_id, stage, stage_seq, card_version, said_seq FROM nurture.standing ORDER BY 1",
    "timers": "SELECT lead_id, name, due_at FROM nurture.timer ORDER BY 1, 2",
    "log": "SELECT event_id, topic, lead_id, seq, body FROM bus.nurture_log ORDER BY 1",
}


async def test_nurture_back_from_a_backup_of_yesterday_on_kafka_mails_nobody_twice(
    fresh_database: Databases, kafka_bootstrap: str, tmp_path: Path
) -> None:
    # What falls due has to lie before the present of Kafka, up to which nurture has heard.
    clock = SetClock(datetime.now(UTC) - timedelta(days=5))
    async with inbox() as mails:
        alone = Alone(nurture, kafka_bootstrap, await with_tables("nurture", fresh_database), mails, tmp_path, clock)
        await ensure_topics(alone.bootstrap, alone.prefix, [*Topic])
        old = [Told(clock, f"old{number}@norrvik.example") for number in range(8)]
        async with alone.running():
            await alone.tell(*(lead.registered() for lead in old))
            await alone.until_sent("welcome", 8)
            await alone.until_published()
        backup = fresh_database(template=alone.dsn)
        clock.advance(timedelta(hours=3))
        young = [Told(clock, f"young{number}@norrvik.example") for number in range(6)]
        async with alone.running() as runtime:
            await alone.tell(*(lead.registered() for lead in young))
            await alone.until_sent("welcome", 14)
            mails.to_recipients = ["550 5.1.1 no such user"]
            gone = Told(clock, "gone@norrvik.example")
            await alone.tell(gone.registered())
            await alone.until("SELECT count(*) FROM nurture.suppression WHERE reason = 'bounced'", 1)
            await _unsubscribe(runtime, mails, ["old0@norrvik.example", "young0@norrvik.example"])
            await alone.tell(*(lead.moved("sql", "score_reached") for lead in (old[1], young[1])))
            await alone.until("SELECT count(*) FROM nurture.enrolment WHERE ended_because = 'sql'", 2)
            clock.set(datetime.now(UTC) - timedelta(hours=2))
            await alone.until_sent("second", 10)
            await alone.until_published()
        before = {name: await alone.rows(query) for name, query in NURTURED.items()}
        letters = len(mails.messages)
        assert letters == 14 + 10
        alone.dsn = backup
        newcomer = Told(clock, "newcomer@norrvik.example")
        print(await alone.restored())
        for name, query in NURTURED.items():
            assert await alone.rows(query) == before[name], name
        await alone.tell(newcomer.registered())
        assert "0 events that nurture had said" in await alone.restored()  # does no harm, and hears what came
        clock.set(SystemClock().now())
        async with alone.running():
            late = Told(clock, "late@norrvik.example")
            await alone.tell(late.registered(), *(lead.moved("sql", "score_reached") for lead in old[2:4]))
            await alone.until_sent("welcome", 16)
            await alone.until_published()
        written = Counter(str(mail["Message-ID"]) for mail in mails.messages)
        assert max(written.values()) == 1
        assert len(mails.messages) == letters + 2
        twice = "SELECT lead_id, seq FROM bus.nurture_log GROUP BY 1, 2 HAVING count(*) > 1"
        assert await alone.rows(twice) == []


async def _unsubscribe(runtime: Runtime[Any], mails: Inbox, addresses: Sequence[str]) -> None:
    async with client(runtime) as api:
        for mail in [mail for mail in mails.messages if str(mail["To"]).split("<")[-1].strip("<>") in addresses]:
            answer = await api.post(unsubscribe_path(mail), data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200, answer.text


SOLD = {
    "offers": """SELECT offer_id, lead_id, rep_id, cycle, attempt, offered_at, due_at, route, why, state, answered_at,
        ended_at, reason FROM handover.offer ORDER BY 1""",
    "leads": """SELECT lead_id, stage, cycle, listed, since, reason, asked_for, attempts, owner, offer_id, due_at,
        value, currency, fulfilled_at, rest -> 'refused', rest -> 'decisions' FROM handover.lead ORDER BY 1""",
    "standings": "SELECT lead_id, stage, stage_seq, card_version, said_seq FROM handover.standing ORDER BY 1",
    "timers": "SELECT lead_id, name, due_at FROM handover.timer ORDER BY 1, 2",
    "log": "SELECT event_id, topic, lead_id, seq, body FROM bus.handover_log ORDER BY 1",
    "fed": "SELECT event_id FROM handover.feed ORDER BY 1",
}
FRIDAY = datetime(2026, 3, 6, 10, tzinfo=UTC)


async def test_handover_back_from_a_backup_of_yesterday_on_kafka_asks_nobody_twice(
    fresh_database: Databases, kafka_bootstrap: str, tmp_path: Path
) -> None:
    clock = SetClock(FRIDAY)
    async with inbox() as mails:
        alone = Alone(handover, kafka_bootstrap, await with_tables("handover", fresh_database), mails, tmp_path, clock)
        await ensure_topics(alone.bootstrap, alone.prefix, [*Topic])
        old, young = _asking(clock, "old", 7), _asking(clock, "young", 5)
        async with alone.running() as runtime, sales.client(runtime) as api:
            api.headers["Authorization"] = f"Bearer {KEY}"
            for name in ("Ann", "Bo"):
                await sales.add_rep(api, name)
            await alone.tell(*(lead.asked_for_a_demo() for lead in old))
            await _until_told(alone, 7)
            await alone.until_published()
        backup = fresh_database(template=alone.dsn)
        clock.advance(timedelta(minutes=2))
        async with alone.running() as runtime, sales.client(runtime) as api:
            api.headers["Authorization"] = f"Bearer {KEY}"
            await sales.add_rep(api, "Cy")
            await alone.tell(*(lead.asked_for_a_demo() for lead in young))
            await _until_told(alone, 12)
            for lead in (old[0], old[2], old[3], young[0]):
                await _post(alone, api, lead, "accept")
            await _post(alone, api, old[1], "return", reason="bad_timing", note="Asks for spring.")
            await _post(alone, api, old[2], "outcome", outcome="won", value="900.00", currency="EUR")
            await _post(alone, api, old[2], "outcome", outcome="fulfilled")
            await _post(alone, api, old[3], "outcome", outcome="lost", reason="competitor")
            await _post(alone, api, young[0], "outcome", outcome="opportunity", value="70.00", currency="EUR")
            clock.advance(timedelta(minutes=20))  # the others did not answer: the next reps are asked
            await alone.until("SELECT count(*) FROM handover.offer WHERE state = 'expired'", 7)
            await _until_told(alone, 19)
            await alone.until_published()
        before = {name: await alone.rows(query) for name, query in SOLD.items()}
        (head,) = (await alone.rows("SELECT max(pos) FROM handover.feed"))[0]
        assert len(mails.messages) == 19
        alone.dsn = backup
        said = await alone.restored()
        assert "Reps added after the backup: 1;" in said
        for name, query in SOLD.items():
            assert await alone.rows(query) == before[name], name
        newcomer = _asking(clock, "newcomer", 1)[0]
        await alone.tell(newcomer.asked_for_a_demo(), old[4].did("purchase", value="50.00", currency="EUR"))
        await alone.restored()  # does no harm, and decides on what came
        stages = dict(await alone.rows("SELECT lead_id, stage FROM handover.standing"))
        assert stages[old[4].lead_id] == "customer"
        async with alone.running():
            await _until_told(alone, 1, newcomer)
            await alone.until_published()
        told = Counter(str(mail["Message-ID"]) for mail in mails.messages)
        assert max(told.values()) == 1
        assert len(mails.messages) == 19 + 1
        later = await alone.rows(f"SELECT event_id FROM handover.feed WHERE pos > {head}")
        assert len(later) >= len(before["fed"]) - 7 * 4  # whoever had read to the end reads on from there
        twice = "SELECT topic, lead_id, seq FROM bus.handover_log WHERE seq > 0 GROUP BY 1, 2, 3 HAVING count(*) > 1"
        assert await alone.rows(twice) == []


def _asking(clock: SetClock, name: str, count: int) -> list[sales.Told]:
    return [
        sales.Told(clock, name=f"{name} {number}", email=f"{name}{number}@norrvik.example") for number in range(count)
    ]


async def _until_told(alone: Alone, count: int, lead: sales.Told | None = None) -> None:
    of = f"AND lead_id = '{lead.lead_id}'" if lead else ""
    await alone.until(f"SELECT count(*) FROM handover.mail WHERE state = 'sent' {of}", count)


async def _post(alone: Alone, api: httpx.AsyncClient, lead: sales.Told, what: str, **given: str) -> None:
    """By the rep who is asked."""
    (rep,) = (await alone.rows(f"SELECT owner FROM handover.lead WHERE lead_id = '{lead.lead_id}'"))[0]
    rep_of = {"rep": str(rep)}
    answer = await api.post(f"/v1/leads/{lead.lead_id}/{what}", json=rep_of | given)
    assert answer.status_code == 200, answer.text
