"""R19: how long five services and their database take to be ready, and what they hold in memory when idle."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.events.topics import SERVICES
from tests.support.forked import PROJECT
from tests.support.installation import free_ports

IDLE_SECONDS = 20


@dataclass(frozen=True)
class Footprint:
    """Seconds from the command to ready, first on an empty folder and then again; MB when idle; CPU share when idle.

    `rss` counts memory that several processes share once for each, `pss` once in all.
    """

    first_start: float
    later_start: float
    rss: float
    pss: float
    processes: int
    idle_cpu: float


def measure() -> Footprint:
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        first, process = _start(Path(folder))
        _stop(process)
        later, process = _start(Path(folder))
        try:
            time.sleep(IDLE_SECONDS)
            tree = _tree(process.pid, Path(folder))
            before = _cpu(tree)
            time.sleep(10)
            idle = (_cpu(tree) - before) / 10
            memory = [one.memory_full_info() for one in tree]
        finally:
            _stop(process)
    rss, pss = sum(one.rss for one in memory), sum(one.pss for one in memory)
    return Footprint(first, later, rss / 1e6, pss / 1e6, len(memory), idle)


def _start(folder: Path) -> tuple[float, subprocess.Popen[str]]:
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    environment = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "run"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        | environment
        | {"LEADLINE_DATA_DIR": str(folder / "data")},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Leadline is ready" in line:
            return time.perf_counter() - began, process
    raise RuntimeError("it did not start")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=40)


def _tree(pid: int, folder: Path) -> list[psutil.Process]:
    """The services, and the database, which runs beside them."""
    head = psutil.Process(pid)
    services = [head, *head.children(recursive=True)]
    postmasters = [
        one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or ())
    ]
    found = {one.pid: one for one in services}
    for postmaster in postmasters:
        found |= {one.pid: one for one in [postmaster, *postmaster.children(recursive=True)]}
    return list(found.values())


def _cpu(tree: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (one.cpu_times() for one in tree if one.is_running()))
