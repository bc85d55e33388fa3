"""Where tests get their real servers: from the environment, else from Docker, else from programs on this machine."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.kafka_jars import KafkaMissing, fetch_jars, find_java, kafka_version
from deploy.kafka_server import KafkaServer, serves
from deploy.postgres import EmbeddedPostgres
from deploy.postgres_binaries import PostgresMissing, find_binaries

PROJECT = Path(__file__).parents[2]
POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = f"apache/kafka:{kafka_version()}"
_KAFKA_IN_DOCKER_SECONDS = 120


def unavailable(reason: str) -> NoReturn:
    """Skips the test with a plain sentence. In CI every server has to be there, so there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (in CI this may not be missing)", pytrace=False)
    pytest.skip(reason)


def require_kafka_programs() -> None:
    """For tests that start brokers of their own: Java and Kafka's jars, or the test does not run."""
    try:
        find_java()
        fetch_jars()
    except KafkaMissing as missing:
        unavailable(str(missing))


@cache
def docker_answers() -> bool:
    """Whether a Docker engine answers on this machine."""
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        # The client leaves its socket open when nobody answers; collected here, that does not count against a test.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with closing(docker.from_env(timeout=5)) as client:
                answers = bool(client.ping())
        except DockerException:
            answers = False
        gc.collect()
    return answers


@contextmanager
def folder_for_servers() -> Generator[Path]:
    """A folder for the servers of one test run. However the run ends, they are stopped and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix="leadline-servers-"))
    command = [sys.executable, "-m", "tests.support.reaper", str(folder)]
    # The reaper reads our end of the pipe: it closes when we end, also by kill -9.
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, start_new_session=True) as reaper:
        yield folder
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait(timeout=120)


@contextmanager
def postgres_server(folder: Path) -> Generator[str]:
    """The DSN of a database on a real PostgreSQL whose user may create databases."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
    elif docker_answers():
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
            yield container.get_connection_url()
    else:
        try:
            find_binaries()
        except PostgresMissing as missing:
            unavailable(str(missing))
        server = EmbeddedPostgres(folder / "postgres")
        try:
            dsn = server.start()
            _hurry(dsn)
            yield dsn
        finally:
            server.stop()


def _hurry(dsn: str) -> None:
    """Nobody pulls the plug of this server: tests of that have their own. And it has many databases with little in."""
    for setting in ("fsync = off", "full_page_writes = off", "wal_compression = off", "synchronous_commit = off"):
        _execute_apart(dsn, f"ALTER SYSTEM SET {setting}")
    _execute_apart(dsn, "ALTER SYSTEM SET autovacuum_naptime = '10min'")
    _execute_apart(dsn, "SELECT pg_reload_conf()")


own_brokers: list[KafkaServer] = []


@contextmanager
def kafka_server(folder: Path) -> Generator[str]:
    """The address of a real Apache Kafka, as `host:port`."""
    given = os.environ.get("TEST_KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
    elif docker_answers():
        with _kafka_in_docker() as bootstrap:
            yield bootstrap
    else:
        require_kafka_programs()
        server = KafkaServer(folder / "kafka")
        own_brokers.append(server)
        try:
            yield server.start()
        finally:
            server.kill()  # nothing of it is kept: an orderly stop would only take longer


@contextmanager
def _kafka_in_docker() -> Generator[str]:
    """The broker must advertise the port that Docker gives it only once it runs, so its start waits for a script."""
    from testcontainers.core.container import DockerContainer

    script = "/tmp/start-kafka.sh"
    container = (
        DockerContainer(KAFKA_IMAGE)
        .with_exposed_ports(9092)
        .with_envs(
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_LISTENERS="PLAINTEXT://:9092,CONTROLLER://:9093",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        )
        .with_command(["sh", "-c", f"while [ ! -s {script} ]; do sleep 0.1; done; . {script}"])
    )
    with container:
        bootstrap = f"{container.get_container_host_ip()}:{container.get_exposed_port(9092)}"
        lines = f"export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://{bootstrap}\nexec /etc/kafka/docker/run\n"
        container.copy_into_container(lines.encode(), script)
        until = time.monotonic() + _KAFKA_IN_DOCKER_SECONDS
        while not serves(bootstrap):
            if time.monotonic() > until:
                raise TimeoutError(f"Kafka in Docker did not answer on {bootstrap}: {container.get_logs()}")
            time.sleep(0.1)
        yield bootstrap


class Databases:
    """Makes new databases on one server, and drops them at the end of the test run."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._made: list[str] = []

    def __call__(self, template: str | None = None) -> str:
        """The DSN of a new database: empty, or a copy of the one with the DSN `template`, which nobody may be using.

        Usable in tests with and without an event loop; takes some tens of milliseconds.
        """
        name = f"test_{secrets.token_hex(6)}"
        copied = f' TEMPLATE "{database_name(template)}"' if template else ""
        # Half the work of the default, which writes the copy to the server's log as well.
        _execute_apart(self._server, f'CREATE DATABASE "{name}"{copied} STRATEGY FILE_COPY')
        self._made.append(name)
        return dsn_of(self._server, name)

    def drop_all(self) -> None:
        """Drops every database made here, whoever is still connected to it."""
        while self._made:
            _execute_apart(self._server, f'DROP DATABASE IF EXISTS "{self._made.pop()}" WITH (FORCE)')


def _execute_apart(dsn: str, statement: str) -> None:
    """In a thread of its own, because the caller may be inside a running event loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, _execute(dsn, statement)).result()


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def dsn_of(server: str, database: str) -> str:
    """The DSN of another database on the same server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{quote(database, safe='')}"))


def database_name(dsn: str) -> str:
    """The database that a DSN names."""
    return urlsplit(dsn).path.lstrip("/")


def find_chromium() -> Path:
    """A Chromium or Chrome on this machine: `LEADLINE_CHROMIUM`, else the first known name on the path."""
    given = os.environ.get("LEADLINE_CHROMIUM")
    for name in [given] if given else ["chromium", "chromium-browser", "google-chrome", "chrome"]:
        found = shutil.which(name)
        if found:
            return Path(found)
    unavailable("no Chromium found: install chromium, or name one in LEADLINE_CHROMIUM")


def find_shared_data() -> Path:
    """The folder with real lead files, which is not part of the project: `LEADLINE_SHARED`, else `../shared`."""
    folder = Path(os.environ.get("LEADLINE_SHARED", PROJECT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"the lead files in {folder} are not there; LEADLINE_SHARED says where they are")
    return folder
