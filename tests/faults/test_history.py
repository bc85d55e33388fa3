"""What is told again on whole installations, or where a Kafka of its own is needed. Part of `make faults`."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.kafka_server import KafkaServer
from deploy.replay import CannotReplay
from deploy.restore import restore
from services.insights.app import service as insights_service
from services.insights.emptying import PROJECTIONS
from services.insights.settings import InsightsSettings
from services.scoring.app import service as scoring_service
from shared.bus.kafka import PARTITIONS
from shared.clock import uuid7
from shared.events.topics import Topic
from shared.service import Runtime
from shared.settings import Settings
from tests.support.audit import audit, heard_everything
from tests.support.forked import PROJECT
from tests.support.installation import KEY, Installation, installation
from tests.support.line import Line, Verdict, verdict
from tests.support.load import Load
from tests.support.recount import recount
from tests.support.servers import Databases, require_kafka_programs
from tests.support.tables import with_tables
from tests.support.telling import leadline, speaking
from tests.support.toys import SPEAKER, make_tables, speak, toy

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

Dump = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaServer]:
    require_kafka_programs()
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def own_line(broker: KafkaServer, fresh_database: Databases) -> Line:
    dsn = fresh_database()
    await make_tables(dsn)
    return Line(dsn, broker.bootstrap, prefix=f"h{uuid4().hex[:6]}.")


@pytest.mark.kafka
async def test_a_kafka_that_lost_everything_is_filled_again_while_services_run(
    broker: KafkaServer, own_line: Line
) -> None:
    line, leads = own_line, [uuid7() for _ in range(300)]
    try:
        for role in ("hear", "hear", "relay"):
            line.start(role)
        async with speaking(line) as speaker:
            for _ in range(3):
                await speak(speaker, leads)
            await line.until_all_heard()
            broker.kill()
            shutil.rmtree(broker.folder / "data")
            await speak(speaker, leads, "while Kafka is away")
            broker.start()
            said = await leadline(line, "rebuild-kafka")
            assert "leads.activity        1200" in said
            newcomers = [uuid7() for _ in range(50)]
            await speak(speaker, [*leads, *newcomers], "afterwards")
            began = time.monotonic()
            await line.until_all_heard(150)  # a client that was never answered again is replaced after a minute
            print(f"all heard after {time.monotonic() - began:.0f} s")
            assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=300 * 7 + 50 * 3)
            # Who hears for the first time finds all of it, in order; what waited for Kafka may stand before it as well.
            activities = await _read(line.bootstrap, line.prefix + Topic.ACTIVITY, 300 * 5 + 50)
            assert {tuple(sorted(set(activities[str(lead)]))) for lead in leads} == {(1, 2, 3, 4, 5)}
            assert {tuple(activities[str(lead)]) for lead in newcomers} == {(1,)}
            assert all(_has_in_order(activities[str(lead)], 5) for lead in leads)
            assert len(await _read(line.bootstrap, line.prefix + Topic.CARD, 350)) == 350
            # Nobody holds a place beyond the end: hearers that are started anew go on as well.
            for process in list(line.running):
                process.terminate()
                process.wait(30)
            for role in ("hear", "relay"):
                line.start(role)
            await speak(speaker, newcomers, "anew")
            await line.until_all_heard()
        assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=300 * 7 + 50 * 4)
    finally:
        line.stop()


def _has_in_order(numbers: list[int], last: int) -> bool:
    """Whether 1, 2 ... `last` can be read off from left to right."""
    rest = iter(numbers)
    return all(number in rest for number in range(1, last + 1))


async def _read(bootstrap: str | None, topic: str, least: int) -> dict[str, list[int]]:
    """The numbers of each lead's events as a new group finds them, in their order; at least so many events."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=f"newcomer-{uuid4().hex[:6]}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    found: dict[str, list[int]] = {}
    seen: set[tuple[str, int]] = set()
    try:
        while len(seen) < least:
            for records in (await consumer.getmany(timeout_ms=5000)).values():
                for record in records:
                    lead, number = record.key.decode(), int(dict(record.headers)["ce_seq"])
                    found.setdefault(lead, []).append(number)
                    seen.add((lead, number))
    finally:
        await consumer.stop()
    return found


def command(inst: Installation, *words: str) -> str:
    """What the command says, which has to end well."""
    given = {"DATABASE_URL": inst.dsn, "LEADLINE_API_KEY": KEY, "LEADLINE_DATA_DIR": str(inst.data_dir)}
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words],
        cwd=PROJECT, env=os.environ | inst.environment | given, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


async def _rows(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def _one(dsn: str, query: str) -> int:
    return int((await _rows(dsn, query))[0][0])


def projections(inst: Installation) -> Dump:
    """All that insights shows, in an order of its own; `pos` numbers what came in as it came in."""
    dump: dict[str, list[dict[str, Any]]] = {}
    for table in PROJECTIONS:
        rows = [dict(row) for row in asyncio.run(_rows(inst.dsn, f"SELECT * FROM insights.{table}"))]
        dump[table] = sorted(({name: row[name] for name in row if name != "pos"} for row in rows), key=repr)
    return dump


def at_rest(inst: Installation) -> Dump:
    """What insights shows once everything was heard and nothing is said any more."""

    async def count() -> int:
        logs = " + ".join(f"(SELECT count(*) FROM bus.{name}_log)" for name in inst.ports)
        return int((await _rows(inst.dsn, f"SELECT {logs}"))[0][0])

    def quiet() -> bool:
        before = asyncio.run(count())
        time.sleep(0.5)
        return before == asyncio.run(count()) and asyncio.run(heard_everything(inst.dsn))

    inst.until(quiet, 60)
    return projections(inst)


def test_insights_made_anew_while_leads_come_in_equals_what_it_was(fresh_database: Databases, tmp_path: Path) -> None:
    with installation(tmp_path, fresh_database()) as inst:
        inst.post("handover", "/v1/reps", {"name": "Rep", "email": "rep@norrvik.com"})
        with Load([inst.ports["capture"]], pause=0.05) as load:
            inst.until(lambda: len(load.leads) > 30)
        back, gone = (str(lead) for lead in list(load.leads)[:2])
        inst.submit(email="twice@norrvik.com", activity={"type": "asset_downloaded", "asset": "guide"})
        inst.submit(email="twice@norrvik.com", name="Mara", activity={"type": "webinar_attended"})
        at_rest(inst)  # what services say of a lead after its erasure is heard by nobody
        with inst.api("capture") as capture:
            assert capture.delete(f"/v1/leads/{gone}").status_code == 202
        lived = at_rest(inst)
        timeline = inst.get("insights", f"/v1/leads/{back}/timeline")
        with Load([inst.ports["capture"]], pause=0.05) as later:
            inst.until(lambda: len(later.leads) > 20)
            said = command(inst, "rebuild", "insights")
            assert "insights is as it was." in said
        assert load.errors == later.errors == {}
        rebuilt = at_rest(inst)
        old = {row["lead_id"] for row in lived["lead"]}
        for table in ("lead", "timeline", "reached", "went_back", "flow"):
            assert [row for row in rebuilt[table] if row["lead_id"] in old] == lived[table]
        assert inst.get("insights", f"/v1/leads/{back}/timeline") == timeline
        assert inst.get("insights", "/v1/funnel")["as_of"] > "2026"
        # Made anew once more, at rest, it equals what the later leads made of it as they came.
        command(inst, "rebuild", "insights")
        assert at_rest(inst) == rebuilt
        leads = [row["lead_id"] for row in asyncio.run(_rows(inst.dsn, "SELECT lead_id FROM capture.lead"))]
        found = asyncio.run(audit(inst.dsn, leads))
        del found.lives[UUID(gone)]
        assert recount(found.lives).equals(inst.get("insights", "/v1/funnel"))


@pytest.mark.kafka
def test_an_installation_moves_from_postgres_to_kafka_under_load(
    fresh_database: Databases, kafka_bootstrap: str, tmp_path: Path
) -> None:
    carried = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": f"m{uuid4().hex[:6]}."}
    with installation(tmp_path, fresh_database()) as inst:
        inst.post("handover", "/v1/reps", {"name": "Rep", "email": "rep@norrvik.com"})
        with Load([inst.ports["capture"]]) as load:
            inst.until(lambda: len(load.leads) > 30)
            inst.environment |= carried
            assert "Now stop the services" in command(inst, "move-to-kafka")
            inst.until(lambda: len(load.leads) > 60)
            inst.stop()
            command(inst, "move-to-kafka")  # what was said since, so that its order stands in the topics as well
            inst.start()
            assert "on Kafka" in inst.log.read_text()
            many = len(load.leads)
            inst.until(lambda: len(load.leads) > many + 30, 30)
        assert set(load.errors) <= {"nobody answers"}  # refused while it was away, and for no other reason
        inst.until(lambda: asyncio.run(heard_everything(inst.dsn)), 90)
        at_rest(inst)
        found = asyncio.run(audit(inst.dsn, list(load.leads)))
        assert found.wrong == []
        assert recount(found.lives).equals(inst.get("insights", "/v1/funnel"))
        stages = sum(len(life) for life in found.lives.values())
        read = asyncio.run(_read(kafka_bootstrap, carried["KAFKA_TOPIC_PREFIX"] + Topic.STAGE, stages))
        assert {UUID(lead): numbers for lead, numbers in read.items()} == {
            lead: list(range(1, len(life) + 1)) for lead, life in found.lives.items()
        }
        # On Kafka insights begins anew once it is stopped, and refuses before.
        with pytest.raises(AssertionError, match="stop them all"):
            command(inst, "rebuild", "insights")
        lived = projections(inst)
        inst.stop()
        assert "Start insights" in command(inst, "rebuild", "insights")
        assert projections(inst)["lead"] == []
        inst.start()
        inst.until(lambda: len(projections(inst)["flow"]) == len(lived["flow"]), 60)
        assert at_rest(inst) == lived


@dataclass
class Parted:
    """Three services with databases of their own on one Kafka: one speaks as capture does, two hear it."""

    bootstrap: str
    prefix: str
    capture: str
    scoring: str
    insights: str

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Any]:
        carried: Any = {
            "kafka_bootstrap_servers": self.bootstrap, "kafka_prefix": self.prefix, "api_key": "toy-operator-key"
        }  # fmt: skip
        speaker = toy(SPEAKER, self.capture, self.bootstrap, self.prefix)
        scoring = Runtime(scoring_service, Settings(database_url=self.scoring, **carried))
        insights = Runtime(insights_service, InsightsSettings(database_url=self.insights, **carried))
        async with speaker.running(("relay",)), scoring.running(), insights.running(("consume",)):
            for one in (speaker, scoring, insights):
                await one.prepared.wait()
            yield speaker

    async def until_heard(self) -> None:
        """Scoring has heard all activities, and insights the last of what both have said."""
        heard = "SELECT coalesce(sum(activity_seq + stage_seq + score_seq), 0) FROM insights.standing"
        numbered = "SELECT count(*) FROM bus.{}_log WHERE seq > 0 AND topic <> 'leads.card'"
        for _ in range(600):
            said = await _one(self.capture, numbered.format("capture")) + await _one(
                self.scoring, numbered.format("scoring")
            )
            activities = await _one(self.capture, f"{numbered.format('capture')} AND topic = 'leads.activity'")
            counted = await _one(self.scoring, "SELECT coalesce(sum(activity_seq), 0) FROM scoring.standing")
            due = await _one(self.scoring, "SELECT count(*) FROM scoring.timer WHERE due_at <= now()")
            shown = await _one(self.insights, heard)
            if (counted, due, shown) == (activities, 0, said):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"of {activities} activities {counted} counted, {due} timers due; of {said} {shown} shown")

    async def numbers(self, topic: Topic) -> dict[tuple[str, int], set[str]]:
        """The ids of the events that stand on a topic under each number of each lead."""
        client = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await client.start()
        found: dict[tuple[str, int], set[str]] = {}
        try:
            places = [TopicPartition(self.prefix + topic, number) for number in range(PARTITIONS)]
            client.assign(places)
            await client.seek_to_beginning(*places)
            ends = await client.end_offsets(places)
            while any([await client.position(place) < ends[place] for place in places]):
                for records in (await client.getmany(timeout_ms=500)).values():
                    for record in records:
                        said = {name: value.decode() for name, value in record.headers}
                        found.setdefault((said["ce_subject"], int(said["ce_seq"])), set()).add(said["ce_id"])
        finally:
            await client.stop()
        return found


@pytest.mark.kafka
async def test_scoring_comes_back_from_a_backup_of_yesterday_on_kafka(
    fresh_database: Databases, kafka_bootstrap: str
) -> None:
    spoken = fresh_database()
    await make_tables(spoken)
    parted = Parted(
        kafka_bootstrap, f"r{uuid4().hex[:6]}.", spoken,
        await with_tables("scoring", fresh_database), await with_tables("insights", fresh_database),
    )  # fmt: skip
    old, young = [uuid7() for _ in range(30)], [uuid7() for _ in range(20)]
    async with parted.running() as speaker:
        await speak(speaker, old, "asset_downloaded")
        await parted.until_heard()
    backup = fresh_database(template=parted.scoring)
    async with parted.running() as speaker:
        await speak(speaker, [*old, *young], "webinar_attended")
        await speak(speaker, [*old[:20], *young[:10]], "pricing_viewed")
        await speak(speaker, [*old[:5], *young[:5]], "demo_requested")
        await parted.until_heard()
    before = await _one(backup, "SELECT count(*) FROM bus.scoring_log")
    lost, parted.scoring = parted.scoring, backup
    line = Line(backup, kafka_bootstrap, parted.prefix)
    said = await leadline(line, "restore", "scoring")
    print(said)
    put_back = await _one(lost, "SELECT count(*) FROM bus.scoring_log") - before
    assert f"{put_back} events that scoring had said" in said
    facts = "SELECT lead_id, event_id, activity FROM scoring.fact ORDER BY 1, 2"
    assert await _rows(backup, facts) == await _rows(lost, facts)
    known = "SELECT lead_id, stage, stage_seq, said_seq FROM scoring.standing ORDER BY 1"
    assert await _rows(backup, known) == await _rows(lost, known)
    logged = "SELECT event_id, topic, lead_id, seq, body FROM bus.scoring_log WHERE seq > 0 ORDER BY 1"
    assert await _rows(backup, logged) == await _rows(lost, logged)
    again = await leadline(line, "restore", "scoring")  # does no harm
    assert re.search("^0 events that scoring had said", again, re.MULTILINE)
    async with parted.running() as speaker:
        await speak(speaker, [*old, *young], "trial_started")
        await speak(speaker, [*old[5:10], *young[5:8]], "demo_requested")
        await parted.until_heard()
    for topic in (Topic.SCORE, Topic.STAGE):
        used = await parted.numbers(topic)
        assert {key: ids for key, ids in used.items() if len(ids) > 1} == {}
        for lead in [*old, *young]:
            mine = sorted(number for one, number in used if one == str(lead))
            assert mine == list(range(1, len(mine) + 1)), (topic, mine)
    copies = "SELECT lead_id, stage, stage_seq FROM {}.standing ORDER BY 1"
    assert await _rows(backup, copies.format("scoring")) == await _rows(parted.insights, copies.format("insights"))
    stages = {row["stage"] for row in await _rows(backup, known)}
    assert stages > {"sql"}
    rows = await _rows(parted.insights, "SELECT lead_id, score FROM insights.lead")
    shown = {row["lead_id"]: row["score"] for row in rows}
    told = await _rows(backup, "SELECT lead_id, (memory::jsonb->'said'->>'score')::int AS score FROM scoring.state")
    assert {row["lead_id"]: row["score"] / 10 for row in told} == shown
    scoring = Runtime(scoring_service, Settings(database_url=backup, api_key="toy-operator-key"))
    transport = httpx.ASGITransport(app=scoring.app(("api",)))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://scoring", headers={"Authorization": "Bearer toy-operator-key"}
    ) as api:
        for lead in [*old, *young]:
            score = (await api.get(f"/v1/leads/{lead}/score")).json()
            assert abs(sum(entry["points"] for entry in score["entries"]) - score["score"]) < 0.01
            assert score["entries"]
    await scoring.database.close()


@pytest.mark.parametrize(
    ("name", "why"), [("capture", "in no event"), ("insights", "rebuild insights"), ("billing", "no service")]
)
async def test_what_cannot_come_back_alone_is_refused(name: str, why: str) -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", api_key="toy-operator-key")
    with pytest.raises(CannotReplay, match=why):
        await restore(settings, name)
