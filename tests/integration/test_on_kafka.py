"""All five services on real Kafka: the thread from form to rep, and one service doubled, killed and stopped alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from shared.events.topics import SERVICES
from tests.support.installation import KEY, PROJECT, Installation, free_ports, installation
from tests.support.servers import Databases

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def inst(
    fresh_database: Databases, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    carried = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": f"i{uuid4().hex[:8]}."}
    with installation(tmp_path_factory.mktemp("on-kafka"), fresh_database(), **carried) as running:
        yield running


def test_a_demo_request_reaches_a_rep_over_kafka(inst: Installation) -> None:
    assert "on Kafka" in inst.log.read_text()
    lead = inst.submit(email="mara@norrvik.com", activity={"type": "demo_requested"})
    inst.until_stage(lead, "handed_over", 30)
    inst.until(lambda: len(inst.get("insights", f"/v1/leads/{lead}/timeline")["items"]) >= 7, 30)


def start_alone(inst: Installation, service: str, *parts: str) -> tuple[subprocess.Popen[bytes], int]:
    """One service as a process of its own, beside the one that runs already; answers it and its port."""
    port = free_ports(1)[0]
    environment = os.environ | inst.environment | {"DATABASE_URL": inst.dsn, "LEADLINE_API_KEY": KEY}
    with (inst.folder / f"{service}-alone.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}", *parts],
            cwd=PROJECT,
            env=environment | {f"{service.upper()}_PORT": str(port), "LEADLINE_DATA_DIR": str(inst.data_dir)},
            stdout=output,
            stderr=output,
        )
    return process, port


class Load:
    """Posts leads one after the other from a thread and remembers every answer that was not 202."""

    def __init__(self, inst: Installation) -> None:
        self.inst = inst
        self.leads: list[str] = []
        self.refused: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with self.inst.api("capture") as capture:
            while not self._ended.is_set():
                body = {"email": f"p{uuid4().hex}@norrvik.com", "site": "demo", "activity": {"type": "demo_requested"}}
                answer = capture.post("/v1/leads", json=body)
                if answer.status_code == 202:
                    self.leads.append(answer.json()["lead_id"])
                else:
                    self.refused.append(f"{answer.status_code} {answer.text}")
                time.sleep(0.02)


def test_one_service_is_doubled_killed_and_stopped_alone_under_load_without_an_error_at_the_edge(
    inst: Installation,
) -> None:
    children = _services_of(inst)
    with Load(inst) as load:
        second, port = start_alone(inst, "scoring", "consume")
        inst.until(lambda: _ready(port), 60)
        time.sleep(2)
        second.kill()
        second.wait()
        third, port = start_alone(inst, "scoring", "consume")
        inst.until(lambda: _ready(port), 60)
        third.send_signal(signal.SIGTERM)
        assert third.wait(30) is not None
        os.kill(children["handover"], signal.SIGKILL)
        time.sleep(4)
    assert load.refused == []
    assert len(load.leads) > 50

    def all_ready_for_sales() -> bool:
        found = inst.get("insights", "/v1/funnel")
        sql = next(stage["leads"] for stage in found["stages"] if stage["stage"] == "sql")
        return int(sql) >= len(load.leads)

    inst.until(all_ready_for_sales, 60)
    assert {inst.stage_of(lead) for lead in load.leads} <= {"sql", "handed_over"}


def _ready(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200


def _services_of(inst: Installation) -> dict[str, int]:
    """The process of each service, by the order in which they were forked."""
    assert inst.process is not None
    listed = subprocess.run(
        ["ps", "--ppid", str(inst.process.pid), "-o", "pid="], capture_output=True, text=True, check=True
    )
    pids = sorted(int(pid) for pid in listed.stdout.split())
    return dict(zip(SERVICES, pids, strict=True))
