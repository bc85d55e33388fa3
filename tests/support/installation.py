"""A whole installation for a test: the real process tree on free ports, as `make run` starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psutil

from shared.events.topics import SERVICES
from tests.support.coming_again import ComingAgain
from tests.support.forked import Forked, fork

KEY = "lk_test_key_of_the_operator"
T = TypeVar("T")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@dataclass
class Installation:
    """`ports` by service. `api(name)` is a client with the operator's key, `public(name)` one without."""

    folder: Path
    dsn: str
    ports: dict[str, int]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    process: Forked | None = None
    ways: dict[str, ComingAgain] = field(default_factory=dict[str, ComingAgain])

    @property
    def log(self) -> Path:
        return self.folder / "installation.log"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def api(self, service: str) -> httpx.Client:
        client = self.public(service)
        client.headers["Authorization"] = f"Bearer {KEY}"
        return client

    def public(self, service: str) -> httpx.Client:
        return httpx.Client(base_url=self.url(service), timeout=30, transport=self._way(service))

    def _way(self, service: str) -> ComingAgain:
        return self.ways.setdefault(service, ComingAgain())

    def start(self, seconds: float = 60) -> None:
        """Starts it unless it runs, and waits until it is ready."""
        if self.process is not None and self.process.poll() is None:
            return
        with self.log.open("wb") as output:
            self.process = fork(
                "deploy.cli",
                "run",
                output=output,
                new_session=True,
                env=os.environ
                | {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
                | {"DATABASE_URL": self.dsn, "LEADLINE_API_KEY": KEY, "LEADLINE_DATA_DIR": str(self.data_dir)}
                | self.environment,
            )
        self.until(lambda: "Leadline is ready" in self.log.read_text(errors="replace"), seconds)

    def stop(self) -> None:
        while self.ways:
            self.ways.popitem()[1].end()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    def process_of(self, service: str) -> int:
        """The service's process in the tree, which is the one that listens on its port; 0 while there is none."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if any(one.laddr and one.laddr.port == self.ports[service] for one in child.net_connections("tcp4")):
                    return child.pid
        return 0

    def until(self, ask: Callable[[], T], seconds: float = 30) -> T:
        """Ask until the answer is something, or fail with the end of the log."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if answer := ask():
                    return answer
            except (httpx.HTTPError, KeyError, IndexError):
                pass
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the installation ended:\n{self.log.read_text(errors='replace')[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not so after {seconds} s:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.02)

    # What users do.

    def submit(self, **body: Any) -> str:
        """Post a lead as the operator's own form would; answers the lead's id."""
        body.setdefault("site", "demo")
        with self.api("capture") as capture:
            answer = capture.post("/v1/leads", json=body, headers={"Idempotency-Key": uuid4().hex})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["lead_id"])

    def get(self, service: str, path: str, **query: Any) -> Any:
        with self.api(service) as client:
            answer = client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def post(self, service: str, path: str, body: Any = None) -> Any:
        with self.api(service) as client:
            answer = client.post(path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def stage_of(self, lead_id: str) -> str:
        return str(self.get("scoring", f"/v1/leads/{lead_id}/score")["stage"])

    def until_stage(self, lead_id: str, stage: str, seconds: float = 30) -> None:
        self.until(lambda: self.stage_of(lead_id) == stage, seconds)


@contextmanager
def installation(folder: Path, dsn: str, **environment: str) -> Generator[Installation]:
    """A running installation on that database, stopped at the end."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    made = Installation(folder, dsn, ports, environment)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def processes_of(made: Installation) -> list[int]:
    """The processes of that tree that are still there."""
    assert made.process is not None
    found = subprocess.run(["ps", "-eo", "pid,sid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if re.match(rf"\s*\d+\s+{made.process.pid}\s", line)]
