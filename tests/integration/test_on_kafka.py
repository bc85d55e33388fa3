"""All five services on real Kafka: the thread from form to rep, and each service doubled, killed and stopped alone."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from services.handover.mailer import CLAIMED_AT_ONCE
from tests.support.audit import audit, heard_everything
from tests.support.forked import Forked, fork
from tests.support.harm import Harm
from tests.support.importing import killed_by_and_by, numbers, some_real_leads
from tests.support.installation import KEY, Installation, free_ports, installation
from tests.support.load import Load
from tests.support.people import People
from tests.support.plain_http import NO_CERTIFICATES
from tests.support.recount import recount
from tests.support.servers import Databases
from tests.support.smtp import Inbox, inbox
from tests.support.trial import Trial

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
REPS = 3
ALONE: list[Forked] = []


@pytest.fixture(scope="module")
def mails() -> Iterator[Inbox]:
    """A mail server in a thread of its own: these tests wait without an event loop."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    kept: list[Inbox] = []
    ended = asyncio.Event()

    async def serve() -> None:
        async with inbox() as one:
            kept.append(one)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield kept[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def inst(
    fresh_database: Databases, kafka_bootstrap: str, mails: Inbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    carried = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": f"i{uuid4().hex[:8]}.",
        "SMTP_URL": mails.url,
    }
    with installation(tmp_path_factory.mktemp("on-kafka"), fresh_database(), **carried) as running:
        for number in range(REPS):
            running.post("handover", "/v1/reps", {"name": f"Rep {number}", "email": f"rep{number}@norrvik.com"})
        try:
            yield running
        finally:
            for process in ALONE:
                process.kill()
                process.wait()


def test_a_demo_request_reaches_a_rep_over_kafka(inst: Installation) -> None:
    assert "on Kafka" in inst.log.read_text()
    lead = inst.submit(email="mara@norrvik.com", activity={"type": "demo_requested"})
    inst.until_stage(lead, "handed_over", 30)
    inst.until(lambda: len(inst.get("insights", f"/v1/leads/{lead}/timeline")["items"]) >= 7, 30)


class Alone:
    """One service, or some parts of it, as a process of its own beside the one that runs already."""

    def __init__(self, inst: Installation, service: str, *parts: str) -> None:
        self.port = free_ports(1)[0]
        environment = os.environ | inst.environment | {"DATABASE_URL": inst.dsn, "LEADLINE_API_KEY": KEY}
        environment["CAPTURE_DEMO_SITE"] = "on"
        ports = {f"{name.upper()}_PORT": str(port) for name, port in (inst.ports | {service: self.port}).items()}
        with (inst.folder / f"{service}-alone.log").open("ab") as output:
            given = environment | ports | {"LEADLINE_DATA_DIR": str(inst.data_dir)}
            self.process = fork(f"services.{service}", *parts, env=given, output=output)
        ALONE.append(self.process)

    def ready(self) -> bool:
        return _ready(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)


def _ready(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/readyz", verify=NO_CERTIFICATES).status_code == 200


@contextmanager
def _down(inst: Installation, service: str, with_signal: signal.Signals) -> Iterator[None]:
    """The service of the tree is ended, and waited for afterwards: the tree starts it again by itself."""
    before = inst.process_of(service)
    os.kill(before, with_signal)
    yield
    inst.until(lambda: inst.process_of(service) not in (0, before) and _ready(inst.ports[service]), 40)


def _cycle(inst: Installation, service: str) -> None:
    """Doubled for a while, then the first one stopped, which the tree starts again, and the second one killed."""
    second = Alone(inst, service)
    inst.until(second.ready, 40)
    time.sleep(1)
    with _down(inst, service, signal.SIGTERM):
        time.sleep(0.5)
    second.kill()


def _cycle_capture(inst: Installation, load: Load) -> None:
    """Its parts doubled as three processes; then the whole one stopped, and its parts ended in their turn."""
    parts = {part: Alone(inst, "capture", part) for part in ("api", "relay", "consume")}
    for alone in parts.values():
        inst.until(alone.ready, 40)
    load.ports.append(parts["api"].port)
    time.sleep(1)
    with _down(inst, "capture", signal.SIGTERM):
        time.sleep(0.5)
    parts["api"].stop()
    parts["relay"].kill()
    parts["consume"].kill()


def test_each_service_is_doubled_killed_and_stopped_alone_under_load_without_an_error_at_the_edge(
    inst: Installation, mails: Inbox
) -> None:
    earlier = _leads(inst)
    with Load([inst.ports["capture"]]) as load:
        _cycle_capture(inst, load)
        for service in ("scoring", "nurture", "handover", "insights"):
            _cycle(inst, service)
    assert load.errors == {}
    assert len(load.leads) > 100
    inst.until(lambda: _all_done(inst, load), 60)
    found = asyncio.run(audit(inst.dsn, [*earlier, *load.leads]))
    assert found.wrong == []
    assert recount(found.lives).equals(inst.get("insights", "/v1/funnel"))
    _check_offers(inst, load, mails)
    _check_welcomes(inst, load, mails)


def test_whatever_dies_on_kafka_nothing_is_lost_doubled_or_disordered(inst: Installation, tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULT_SEED", "0")) or random.randrange(1, 2**31)
    Trial(Harm(inst, random.Random(seed)), tmp_path / "journal", seed, 60, 2, 20, _leads(inst)).run()


def test_whatever_people_do_with_whichever_lead_all_services_agree_on_what_came_of_it(inst: Installation) -> None:
    seed = int(os.environ.get("PEOPLE_SEED", "0")) or random.randrange(1, 2**31)
    print(f"PEOPLE_SEED={seed}")
    earlier, reps = _leads(inst), [rep["rep_id"] for rep in inst.get("handover", "/v1/reps")["items"]]
    people = People(inst, random.Random(seed), reps)
    asyncio.run(people.live(int(os.environ.get("DEEDS", "250")), at_once=6))
    assert not [status for _, status in people.answers if status >= 500]
    assert {what for what, status in people.answers if status < 300} >= {"submit", "act", "accept"}
    inst.until(lambda: _heard(inst), 60)
    _check_all_agree(inst, [*earlier, *map(UUID, people.leads)])
    for lead in people.dice.sample(people.leads, 10):
        told = inst.get("scoring", f"/v1/leads/{lead}/score")
        assert round(sum(entry["points"] for entry in told["entries"]), 1) == told["score"]


def _fetch(inst: Installation, query: str) -> list[asyncpg.Record]:
    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(inst.dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    return asyncio.run(fetch())


def _all_done(inst: Installation, load: Load) -> bool:
    """Everything said was heard, everybody who asked is on offer, and no mail waits except in a dead sender's hands."""
    offered = {row["lead_id"] for row in _fetch(inst, "SELECT lead_id FROM handover.offer")}
    due = "SELECT 1 FROM nurture.touch WHERE state IN ('planned', 'deferred') AND due_at <= now()"
    unsent = "SELECT 1 FROM handover.mail WHERE state = 'waiting'"
    done = load.of_kind("demo_requested") <= offered and not _fetch(inst, due) and not _fetch(inst, unsent)
    return done and _heard(inst)


def _check_offers(inst: Installation, load: Load, mails: Inbox) -> None:
    """Each lead that asked is with one rep, who got one mail about it; the reps came round in turn."""
    offers = _fetch(inst, "SELECT offer_id, lead_id, rep_id FROM handover.offer")
    per_lead = Counter(row["lead_id"] for row in offers)
    assert {per_lead[lead] for lead in load.of_kind("demo_requested")} == {1}
    per_rep = Counter(row["rep_id"] for row in offers)
    assert max(per_rep.values()) - min(per_rep.values()) <= 1
    told = Counter(str(mail["Message-ID"]).split("@")[0].removeprefix("<offer-") for mail in mails.messages)
    states = {row["offer_id"]: row["state"] for row in _fetch(inst, "SELECT offer_id, state FROM handover.mail")}
    sent = [str(offer) for offer, state in states.items() if state == "sent"]
    assert {told[offer] for offer in sent} == {1}
    # A killed sender leaves what it had claimed to the next one, after its lease.
    assert len(states) - len(sent) <= CLAIMED_AT_ONCE


def _check_welcomes(inst: Installation, load: Load, mails: Inbox) -> None:
    """Who wanted to be written to got one mail; only of one in the hands of the killed sender nobody can tell."""
    touches = _fetch(inst, "SELECT lead_id, state, message_id FROM nurture.touch WHERE step LIKE '%welcome%'")
    states = {row["lead_id"]: row["state"] for row in touches}
    assert load.of_kind("newsletter_subscribed") <= states.keys()
    assert len(states) == len(touches)
    assert Counter(states.values())["sent"] >= len(states) - 1
    received = Counter(str(mail["Message-ID"]) for mail in mails.messages)
    assert {received[f"<{row['message_id']}>"] for row in touches if row["state"] == "sent"} == {1}
    assert max(received.values()) == 1
    per_person = Counter(str(mail["To"]) for mail in mails.messages if "rep" not in str(mail["To"]))
    assert max(per_person.values()) == 1


def test_an_import_that_was_killed_and_went_on_reaches_every_service_and_starts_nothing(
    inst: Installation, mails: Inbox, shared_data: Path, tmp_path: Path
) -> None:
    file = some_real_leads(shared_data, tmp_path, 1200)
    earlier, mails_before = _leads(inst), len(mails.messages)
    said, done = killed_by_and_by(inst.dsn, file, kills=2, seed=20261122, **inst.environment)
    report = numbers(said)
    assert report["of them"] == done[-1]
    assert report["new leads"] + report["quarantined"] == report["rows"] == 1200
    leads = _leads(inst)
    assert len(leads) == len(earlier) + report["new leads"]
    inst.until(lambda: _heard(inst), 60)
    _check_all_agree(inst, leads)
    assert len(mails.messages) == mails_before
    assert {row["lead_id"] for row in _fetch(inst, "SELECT lead_id FROM handover.offer")} <= set(earlier)


def _check_all_agree(inst: Installation, leads: Sequence[UUID]) -> None:
    """What is wrong has to stay wrong: after all is heard a lead may still be offered, and that be heard in turn."""
    until = time.monotonic() + 60
    while True:
        found = asyncio.run(audit(inst.dsn, leads))
        agree = recount(found.lives).equals(inst.get("insights", "/v1/funnel"))
        if (agree and not found.wrong) or time.monotonic() > until:
            break
        time.sleep(0.5)
    assert found.wrong == []
    assert agree


def _leads(inst: Installation) -> list[UUID]:
    return [row["lead_id"] for row in _fetch(inst, "SELECT lead_id FROM capture.lead")]


def _heard(inst: Installation) -> bool:
    time.sleep(0.5)
    return asyncio.run(heard_everything(inst.dsn))
