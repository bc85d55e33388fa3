"""The servers that tests run on are real, separate for each who asks, and gone when the run is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.processes import runs_with
from tests.support import servers
from tests.support.servers import PROJECT, Databases, database_name, dsn_of


async def tables(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    finally:
        await connection.close()


async def create_table(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE TABLE {name} (id int)")
    finally:
        await connection.close()


async def test_each_new_database_is_empty_and_a_copy_has_what_its_template_has(fresh_database: Databases) -> None:
    first = fresh_database()
    await create_table(first, "seen_in_first")
    assert await tables(fresh_database()) == []
    assert await tables(fresh_database(template=first)) == ["seen_in_first"]


async def test_the_shared_database_of_the_run_answers(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    assert await connection.fetchval("SELECT current_database()") == database_name(postgres_dsn)
    await connection.close()


@pytest.mark.kafka
async def test_the_kafka_of_the_run_takes_topics_only_when_told(kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("told", num_partitions=4, replication_factor=1)])
        described = await admin.describe_topics(["told", "untold"])
        errors = {topic["topic"]: topic["error_code"] for topic in described}
        assert errors == {"told": 0, "untold": 3}  # 3: unknown topic
        assert "untold" not in await admin.list_topics()
    finally:
        await admin.close()


def test_a_database_url_from_the_environment_is_taken_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://somebody@db.example/tests")
    monkeypatch.setenv("TEST_KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    with servers.postgres_server(tmp_path) as dsn, servers.kafka_server(tmp_path) as bootstrap:
        assert dsn == "postgresql://somebody@db.example/tests"
        assert bootstrap == "kafka.example:9092"
    assert list(tmp_path.iterdir()) == []


def test_a_dsn_keeps_its_server_when_its_database_changes() -> None:
    socket = "postgresql://leadline@/leadline?host=/tmp/x"
    assert dsn_of(socket, "other") == "postgresql://leadline@/other?host=/tmp/x"
    assert dsn_of("postgresql://a:b@h:1/x?ssl=require", "y") == "postgresql://a:b@h:1/y?ssl=require"


def test_a_missing_server_skips_on_a_desk_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Java"):
        servers.unavailable("no Java")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Java"):
        servers.unavailable("no Java")


def test_a_test_run_that_is_killed_leaves_no_server() -> None:
    program = (
        "import os, signal\n"
        "from tests.support.servers import *\n"
        "with folder_for_servers() as folder:\n"
        "    EmbeddedPostgres(folder / 'postgres').start()\n"
        "    print(folder, (folder / 'postgres/postmaster.pid').read_text().split()[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program]
    killed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    folder, pid = killed.stdout.split()
    until = time.monotonic() + 30
    while Path(folder).exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert not runs_with(int(pid), Path(folder) / "postgres")


def test_docker_is_asked_and_a_silent_engine_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    servers.docker_answers.cache_clear()
    assert servers.docker_answers() is False
    servers.docker_answers.cache_clear()


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command")
def test_docker_counts_exactly_when_its_own_command_gets_an_answer() -> None:
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60, env={**os.environ})
    assert servers.docker_answers() is (asked.returncode == 0)
