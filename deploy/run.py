"""`make run`: a database of our own and all five services, as one process tree that ends together.

The services are forked from this process after their code is loaded, so they share its memory and start at once.
One that dies is started again; so is the database.
"""

from __future__ import annotations

import ctypes
import difflib
import errno
import fcntl
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from deploy.postgres import Database, database_for
from services.capture.settings import CaptureSettings, may_have_demo
from shared.events.topics import SERVICES
from shared.keys import read_keys
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.service import Service

READY_SECONDS = 80
STOP_SECONDS = 12
# A service that dies at once is started again ever more slowly.
RESTART_SECONDS = (0.2, 10.0)
STEADY_SECONDS = 10
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of prctl(2)


class CannotRun(SystemExit):
    """Something has to be put right first; the message says what."""


@dataclass
class _Child:
    pid: int
    started: float
    pause: float = RESTART_SECONDS[0]
    again_at: float = 0.0


@dataclass
class Installation:
    """All five services and their database on this machine."""

    data_dir: Path
    database: Database
    children: dict[str, _Child] = field(default_factory=dict[str, _Child])
    stopping: bool = False

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then leave nothing behind."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        began = time.monotonic()
        settings = self._settle()
        say("Starting the database ...")
        try:
            os.environ["DATABASE_URL"] = self.database.start()
            say("Starting the services ...")
            for name in SERVICES:
                self.children[name] = _Child(_fork(name), time.monotonic())
            if self._wait_until_ready(settings):
                _introduce_a_rep(settings)
                say(_welcome(settings, time.monotonic() - began))
            while not self.stopping:
                self._look_after()
                time.sleep(0.2)
        finally:
            self._end()

    def _settle(self) -> Settings:
        """Find what would not let a service start before anything is started."""
        os.environ["DATABASE_URL"] = self.database.dsn()
        services = _load_code()
        for service in services:
            service.settings.load()
        for line in misspelt(os.environ, [service.settings for service in services]):
            say(line)
        settings = Settings.load()
        read_keys(settings.keys_file)
        _refuse_taken_ports(settings)
        return settings

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _wait_until_ready(self, settings: Settings) -> bool:
        waiting = set(SERVICES)
        deadline = time.monotonic() + READY_SECONDS
        while waiting and not self.stopping:
            self._look_after()
            waiting -= {name for name in waiting if _is_ready(settings.port_of(name))}
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"Not ready after {READY_SECONDS} s: {', '.join(sorted(waiting))}. See their lines above."
                )
            time.sleep(0.05)
        return not self.stopping

    def _look_after(self) -> None:
        """Start again what has died."""
        for name, child in self.children.items():
            if child.pid and _ended(child.pid):
                steady = time.monotonic() - child.started > STEADY_SECONDS
                child.pause = RESTART_SECONDS[0] if steady else min(child.pause * 2, RESTART_SECONDS[1])
                child.pid, child.again_at = 0, time.monotonic() + child.pause
                if not self.stopping:
                    say(f"{name} ended; starting it again in {child.pause:.1f} s")
            if not child.pid and time.monotonic() >= child.again_at and not self.stopping:
                child.pid, child.started = _fork(name), time.monotonic()
        if not self.stopping and not self.database.alive():
            say("The database ended; starting it again")
            self.database.start()

    def _end(self) -> None:
        say("Stopping ...")
        for child in self.children.values():
            if child.pid:
                _signal(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.pid and not _ended(child.pid) for child in self.children.values()):
            if time.monotonic() > deadline:
                for child in self.children.values():
                    _signal(child.pid, signal.SIGKILL)
            time.sleep(0.05)
        self.database.stop()
        say("Stopped.")


def say(text: str) -> None:
    print(text, flush=True)


def prepare_environment(data_dir: Path) -> None:
    """What a newcomer need not set: a key of the operator, the demo site, the open console."""
    data_dir.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LEADLINE_DATA_DIR", str(data_dir))
    if may_have_demo(os.environ.get("CAPTURE_PUBLIC_URL") or os.environ.get("LEADLINE_PUBLIC_URL") or ""):
        os.environ.setdefault("CAPTURE_DEMO_SITE", "on")
    os.environ.setdefault("INSIGHTS_CONSOLE", "open")
    if not os.environ.get("LEADLINE_API_KEY") and not os.environ.get("LEADLINE_API_KEY_FILE"):
        os.environ["LEADLINE_API_KEY"] = _own_key(data_dir / "api_key")


def _own_key(file: Path) -> str:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(f"lk_{secrets.token_urlsafe(32)}")
    except FileExistsError:
        pass
    return file.read_text().strip()


def run(environment: Mapping[str, str] = os.environ) -> None:
    data_dir = Path(environment.get("LEADLINE_DATA_DIR") or ".leadline").absolute()
    prepare_environment(data_dir)
    with alone_in(data_dir):
        Installation(data_dir, database_for(data_dir / "postgres", environment.get("DATABASE_URL") or None)).run()


@contextmanager
def alone_in(data_dir: Path) -> Generator[None]:
    """Nobody else starts or ends the database of this folder meanwhile. Raises `CannotRun` where somebody may."""
    with (data_dir / "run.lock").open("a") as lock:
        try:
            # Of this process alone: those it forks do not have it, and it goes with it however it ends.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotRun(
                f"Leadline runs in {data_dir} already. End that one first; or set LEADLINE_DATA_DIR to another folder, "
                f"and {', '.join(f'{name.upper()}_PORT' for name in SERVICES)}."
            ) from None
        yield


def misspelt(environment: Mapping[str, str], settings: Iterable[type[Settings]]) -> list[str]:
    """A line for each variable that is all but the name of a setting: it would be left alone without a word."""
    known = {
        str(field.validation_alias or f"{one.model_config.get('env_prefix', '')}{name}".upper())
        for one in settings
        for name, field in one.model_fields.items()
    }
    known |= {f"{name}_FILE" for name in known}
    near = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.9) for name in environment if name not in known}
    return [f"{name} is no setting and changes nothing. Is it {found[0]}?" for name, found in near.items() if found]


def _refuse_taken_ports(settings: Settings) -> None:
    given: dict[int, str] = {}
    for name in SERVICES:
        port = settings.port_of(name)
        if (other := given.setdefault(port, name)) != name:
            raise CannotRun(f"{other} and {name} cannot both have port {port}. Set another {name.upper()}_PORT.")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    raise CannotRun(f"LEADLINE_HOST: {settings.host} is no address of this machine.") from None
                raise CannotRun(
                    f"Port {port} for {name} cannot be used ({error.strerror}). Is Leadline running already? "
                    f"Otherwise set {name.upper()}_PORT."
                ) from None


def _load_code() -> list[Service[Any]]:
    """Everything the services need is loaded once, and what is loaded is left alone by the collector after the fork."""
    from shared.process import spare_the_collector

    import_module("uvicorn.protocols.http.httptools_impl")
    services = [import_module(f"services.{name}.app").service for name in SERVICES]
    # Its twenty lines on starting would hide the few that whoever starts us needs.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    spare_the_collector()
    return services


def _fork(name: str) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        # A group of its own: Ctrl-C reaches this tree's head alone, which then ends it in order.
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        from shared.process import main

        main(import_module(f"services.{name}.app").service, [])
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException as error:
        print(f"{name} could not start: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _introduce_a_rep(settings: Settings) -> None:
    """Where mails go to files and nobody sells yet, somebody must be there to be offered the first lead."""
    if settings.smtp_url:
        return
    reps = f"http://127.0.0.1:{settings.port_of('handover')}/v1/reps"
    headers = {"Authorization": f"Bearer {settings.api_key}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(reps, headers=headers), timeout=5) as answer:
            if json.load(answer)["items"]:
                return
        rep = json.dumps({"name": "Demo Rep", "email": "demo-rep@localhost.localdomain"}).encode()
        urllib.request.urlopen(urllib.request.Request(reps, data=rep, headers=headers), timeout=5).close()
    except (urllib.error.URLError, OSError) as error:
        say(f"No demo rep could be made ({error}); POST one to {reps}")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    if pid:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def _welcome(settings: Settings, seconds: float) -> str:
    bus = "Kafka" if settings.kafka_bootstrap_servers else "PostgreSQL"
    lines = [
        "",
        f"Leadline is ready after {seconds:.1f} s, on {bus}.",
        "",
        f"  Console           {settings.public_url_of('insights')}/",
    ]
    if CaptureSettings.load().demo_site:
        lines.append(f"  Landing page      {settings.public_url_of('capture')}/demo")
    if not settings.smtp_url:
        lines.append(f"  Mails             {settings.public_url_of('insights')}/mails")
    lines += [f"  API of {name:<10} {settings.public_url_of(name)}/docs" for name in SERVICES]
    return "\n".join(
        [
            *lines,
            f"  Operator's key    {settings.api_key}",
            "                    signs in to the console too, with the name operator",
            "",
            "Ctrl-C stops everything.",
            "",
        ]
    )
