"""Runs a PostgreSQL server of our own in a data folder, set up to be durable and quick, reached by a Unix socket only.

The server outlives a killed parent and is found again; a server that was killed recovers on the next start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.postgres_binaries import PostgresBinaries, copy_binaries, find_binaries
from deploy.processes import exists, runs_with
from deploy.unprivileged import Identity, as_account, in_namespace, ourselves, service_accounts

DATABASE = "leadline"
ROLE = "leadline"
PORT = 5432  # names the socket file; nothing listens on the network

_LONGEST_SOCKET_FOLDER = 85  # sun_path holds 104 bytes on macOS, 108 on Linux, less "/.s.PGSQL.5432" and a terminator
_START_SECONDS = 120  # recovery after a crash replays up to max_wal_size
_STOP_SECONDS = 60
_SURVIVOR_SECONDS = 30
_ANSWER_SECONDS = 5
# The shortest thing a server answers, with one byte and before anybody is let in (protocol documentation, SSLRequest).
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LARGEST_LOG = 10 * 1024 * 1024
# Above every system's highest process id (2**22 on Linux, 99,998 on macOS), so "does it run?" is always answered no.
_NO_PROCESS = 2**30
_RELOCATED = Path("/var/lib/leadline")

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    # A page is logged whole when it is first touched after a checkpoint, and with many leads nearly every event touches
    # pages of its own. The programs know pglz alone, which took a third of all that an event cost.
    "full_page_writes": "on",
    "wal_compression": "off",
    "wal_buffers": "16MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "10s",
    "max_logical_replication_workers": "0",
    # A client that stalls inside a transaction holds its lanes of the log: everyone behind it waits for this.
    "idle_in_transaction_session_timeout": "20s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Failed statements go back to their client. The server's own log leaves them out, because their messages and
    # details quote values, and values may be somebody's e-mail address.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class PostgresFailed(Exception):
    """The server could not be set up, started or stopped; the message says why in words an operator can act on."""


class Database(Protocol):
    """A PostgreSQL server, whoever runs it."""

    def start(self) -> str: ...
    def stop(self) -> None: ...
    def alive(self) -> bool: ...
    def dsn(self, database: str | None = None) -> str: ...


def database_for(data_dir: Path, database_url: str | None) -> Database:
    """The server at `database_url` when one is given, else one of our own in `data_dir`; neither is started yet."""
    return ExternalPostgres(database_url) if database_url else EmbeddedPostgres(data_dir)


@dataclass(frozen=True)
class ExternalPostgres:
    """A server that somebody else runs: starting and stopping it is not ours, so both do nothing."""

    url: str

    def start(self) -> str:
        return self.url

    def stop(self) -> None:
        return

    def alive(self) -> bool:
        return True

    def dsn(self, database: str | None = None) -> str:
        """The URL of `database` on that server; without one, the URL as given."""
        if database is None:
            return self.url
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{quote(database, safe='')}"))


@dataclass
class EmbeddedPostgres:
    """A server of our own with its data in `data_dir`, made there on the first start.

    `shared_buffers` takes PostgreSQL's units; `identity` says as whom the server runs, found out when not given.
    Safe to use from several processes at once: they share the one server.
    """

    data_dir: Path
    shared_buffers: str = field(default_factory=lambda: os.environ.get("LEADLINE_PG_SHARED_BUFFERS", "128MB"))
    identity: Identity | None = None

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.absolute()

    def start(self) -> str:
        """Starts the server unless it runs already, and returns the DSN of the database `leadline` once it answers.

        Raises PostgresFailed, with the end of the server's log where it has one.
        """
        with self._alone():
            self._wait_while_ending()
            if not self.alive():
                binaries, identity = self._settle()
                if not self.data_dir.exists():
                    self._initialise(binaries, identity)
                self._launch(binaries, identity)
        return self.dsn()

    def stop(self) -> None:
        """Stops the server and waits until it is gone; open connections are cut, committed work is kept."""
        with self._alone():
            if not self.alive():
                return
            socket_folder = self._socket_folder()
            binaries, identity = self._settle()
            stop = [binaries.pg_ctl, "stop", "-w", "-t", str(_STOP_SECONDS), "-D", self._real_data_dir]
            for mode in ("fast", "immediate"):
                _run(identity.command(*stop, "-m", mode))
                if self._gone(within=5):
                    break
            else:
                raise PostgresFailed(f"the PostgreSQL server in {self.data_dir} does not stop")
            if socket_folder != self._real_data_dir:
                shutil.rmtree(socket_folder, ignore_errors=True)

    def alive(self) -> bool:
        """Whether the server process of this data folder runs."""
        pid = self._pid()
        return pid is not None and runs_with(pid, self._real_data_dir)

    def dsn(self, database: str | None = None) -> str:
        """The DSN of `database` (default `leadline`) on this server. Stays the same over restarts.

        `postgresql://leadline@/leadline?host=/srv/leadline/.leadline/postgres`
        """
        folder = quote(str(self._socket_folder()), safe="/")
        return f"postgresql://{ROLE}@/{quote(database or DATABASE, safe='')}?host={folder}"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.data_dir / "server.log"

    @property
    def _real_data_dir(self) -> Path:
        return self.data_dir.resolve()

    @contextmanager
    def _alone(self) -> Generator[None]:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with self.data_dir.with_name(self.data_dir.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _pid_file(self) -> list[str]:
        return _lines(self.data_dir / "postmaster.pid")

    def _pid(self) -> int | None:
        return _leading_number(self._pid_file())

    def _wait_while_ending(self) -> None:
        """A server that was just killed or told to stop is alive for a moment yet, but serves nobody any more."""
        if not self.alive() or self._answers():
            return
        if not self._gone(within=_STOP_SECONDS):
            raise PostgresFailed(f"a PostgreSQL server runs in {self.data_dir} but does not answer; see {self.log}")

    def _answers(self) -> bool:
        if "stopping" in (line.strip() for line in self._pid_file()[7:]):
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(_ANSWER_SECONDS)
                client.connect(str(self._socket_folder() / f".s.PGSQL.{PORT}"))
                client.sendall(_SSL_REQUEST)
                return client.recv(1) in (b"N", b"S")
        except OSError:
            return False

    def _gone(self, within: float) -> bool:
        until = time.monotonic() + within
        while self.alive():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def _settle(self) -> tuple[PostgresBinaries, Identity]:
        binaries = find_binaries()
        if self.identity is None:
            self.identity = _choose_identity(self.data_dir, binaries)
        return _reachable(binaries, self.identity), self.identity

    def _initialise(self, binaries: PostgresBinaries, identity: Identity) -> None:
        """Makes the data folder under another name first: an interrupted attempt is never taken for a database."""
        home = self.data_dir.parent
        if not identity.reaches(binaries.postgres, home):
            home = _relocated_home(identity)
        unfinished = home / f"{self.data_dir.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        identity.own(unfinished)
        _run_or_fail(identity.command(binaries.initdb, "-D", unfinished, *_initdb_options(binaries)))
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists = 'leadline.conf'\n")
        single = identity.command(binaries.postgres, "--single", "-D", unfinished, "template1")
        _run_or_fail(single, feed=f"CREATE DATABASE {DATABASE}\n")
        if home == self.data_dir.parent:
            unfinished.rename(self.data_dir)
        else:
            final = unfinished.rename(home / self.data_dir.name)
            self.data_dir.symlink_to(final)

    def _launch(self, binaries: PostgresBinaries, identity: Identity) -> None:
        data_dir = self._real_data_dir
        made_by = (data_dir / "PG_VERSION").read_text().strip()
        if made_by != str(binaries.major):
            raise PostgresFailed(
                f"{self.data_dir} was made by PostgreSQL {made_by}, but the programs found are {binaries.major}"
            )
        self._write_settings(identity)
        self._disown_recycled_pid()
        self._start_new_log(identity)
        socket_folder = self._make_socket_folder(identity)
        start = [binaries.pg_ctl, "start", "-w", "-t", str(_START_SECONDS), "-s", "-D", data_dir]
        start += ["-l", data_dir / "server.log", "-o", f"-p {PORT} -k {shlex.quote(str(socket_folder))}"]
        until = time.monotonic() + _SURVIVOR_SECONDS
        while (outcome := _run(identity.command(*start))).returncode != 0:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            # Backends of a killed server notice its death only when they next wait; until then it must not come back.
            if "still in use" not in tail or time.monotonic() > until:
                raise PostgresFailed(f"PostgreSQL did not start in {self.data_dir}: {outcome.stderr.strip()}\n{tail}")
            time.sleep(0.1)

    def _write_settings(self, identity: Identity) -> None:
        settings = {"shared_buffers": self.shared_buffers, **_SETTINGS}
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        file = self.data_dir / "leadline.conf"
        file.write_text(
            "# Written anew at every start. Own settings go to the end of postgresql.conf.\n" + "".join(lines)
        )
        identity.own(file)

    def _start_new_log(self, identity: Identity) -> None:
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG:
            self.log.replace(self.log.with_name("server.log.1"))
        self.log.touch(mode=0o600)
        identity.own(self.log)

    def _disown_recycled_pid(self) -> None:
        """After a kill two lock files stay. When their number now names another process (a zombie, for a moment or for
        ever; an unrelated one after a reboot or in a container) PostgreSQL would refuse to start. Only the number is
        replaced: the rest of `postmaster.pid` still guards against a surviving backend of the old server.
        """
        for lock in (self.data_dir / "postmaster.pid", self._socket_folder() / f".s.PGSQL.{PORT}.lock"):
            lines = _lines(lock)
            pid = _leading_number(lines)
            if pid is not None and exists(pid) and not runs_with(pid, self._real_data_dir):
                lock.write_text("\n".join([str(_NO_PROCESS), *lines[1:]]) + "\n")

    def _socket_folder(self) -> Path:
        lines = self._pid_file()
        recorded = lines[4].strip() if len(lines) > 4 else ""
        return Path(recorded) if recorded else _socket_folder_for(self._real_data_dir)

    def _make_socket_folder(self, identity: Identity) -> Path:
        folder = _socket_folder_for(self._real_data_dir)
        if folder != self._real_data_dir:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            # Others may write to the system's temp folder too: never serve from a folder somebody else laid there.
            ours = {os.geteuid(), identity.uid} if identity.way == "account" else {os.geteuid()}
            if folder.is_symlink() or found.st_uid not in ours or found.st_mode & 0o077:
                raise PostgresFailed(f"{folder} is needed for the database socket but is not ours alone; remove it")
            identity.own(folder)
        return folder


def _choose_identity(data_dir: Path, binaries: PostgresBinaries) -> Identity:
    """As whom the server runs: as the owner of existing data, else the first way that works here."""
    if os.geteuid() != 0:
        return ourselves()
    candidates = _owner_of(data_dir) if data_dir.exists() else _candidates(data_dir.parent)
    home = data_dir.resolve().parent
    for identity in candidates:
        if identity.reaches(binaries.postgres, home):
            return identity
    for identity in candidates:
        if identity.way == "account" and identity.works():
            return identity  # it reaches neither programs nor data here: both move to where it does
    raise PostgresFailed(
        "PostgreSQL does not run as root, and neither a user namespace nor an unprivileged account could be used here:"
        " start as an ordinary user, or set DATABASE_URL to a server that runs elsewhere"
    )


def _owner_of(data_dir: Path) -> list[Identity]:
    uid = data_dir.stat().st_uid
    owner = in_namespace() if uid == 0 else as_account(uid)
    return [owner] if owner else []


def _candidates(home: Path) -> list[Identity]:
    """A user namespace; the ordinary user in whose folders the data shall lie; the system's service accounts."""
    owners = (folder.stat().st_uid for folder in [home, *home.parents])
    neighbour = as_account(next((uid for uid in owners if uid != 0), 0))
    return [in_namespace(), *([neighbour] if neighbour and neighbour.uid != 0 else []), *service_accounts()]


def _reachable(binaries: PostgresBinaries, identity: Identity) -> PostgresBinaries:
    """The programs where `identity` can execute them: in place, or copied to where it can."""
    if identity.way != "account" or identity.reaches(binaries.postgres, Path("/")):
        return binaries
    return copy_binaries(binaries, _public_folder(_RELOCATED / "programs"))


def _relocated_home(identity: Identity) -> Path:
    home = Path(tempfile.mkdtemp(prefix="data-", dir=_public_folder(_RELOCATED)))
    identity.own(home)
    return home


def _public_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for each in (_RELOCATED, folder):
        each.chmod(0o755)
    return folder


def _initdb_options(binaries: PostgresBinaries) -> list[str]:
    # PostgreSQL's own C.UTF-8 sorts the same on every machine and knows upper and lower case of all scripts.
    own_locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []
    return ["-U", ROLE, "--encoding=UTF8", "--locale=C", *own_locale, "--auth-local=trust", "--auth-host=reject"]


def _socket_folder_for(data_dir: Path) -> Path:
    if len(os.fsencode(data_dir)) <= _LONGEST_SOCKET_FOLDER:
        return data_dir
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"leadline-{os.geteuid()}-{name}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _leading_number(lines: list[str]) -> int | None:
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _run(command: list[str], feed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=feed or "", capture_output=True, text=True, check=False, cwd="/")


def _run_or_fail(command: list[str], feed: str | None = None) -> None:
    outcome = _run(command, feed)
    if outcome.returncode != 0:
        raise PostgresFailed(f"PostgreSQL could not be set up: {(outcome.stderr or outcome.stdout).strip()}")
