"""Apache Kafka runs without Docker, and a kill -9 takes nothing from it that it had acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy import kafka_jars
from deploy.kafka_jars import KafkaMissing, fetch_jars, find_java, kafka_version
from deploy.kafka_server import KafkaFailed, KafkaServer, _kept_classes, serves
from deploy.processes import exists
from tests.support.servers import require_kafka_programs

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="leadline-kafka-"))
    yield place
    KafkaServer(place).kill()
    shutil.rmtree(place)


async def create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=4, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, key=value)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, count: int) -> set[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id="readers", auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        return {(await consumer.getone()).value or b"" for _ in range(count)}
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_what_a_broker_acknowledged_is_there_after_it_was_killed(folder: Path) -> None:
    require_kafka_programs()
    server = KafkaServer(folder)
    bootstrap = server.start()
    await create_topic(bootstrap, "leads.stage")
    values = [f"lead {number}".encode() for number in range(50)]
    await produce(bootstrap, "leads.stage", values)

    server.kill()
    assert not server.alive()
    assert server.start() == bootstrap
    assert await consume(bootstrap, "leads.stage", len(values)) == set(values)

    await asyncio.to_thread(the_developer_command_says_where_it_is_and_ends_it_with_ctrl_c, server)
    assert not server.alive()
    assert not serves(bootstrap)
    assert (folder / "data" / ".kafka_cleanshutdown").exists()
    # From now on no broker here has to load and check all its classes anew.
    assert _kept_classes(find_java(), fetch_jars()).is_file()


def the_developer_command_says_where_it_is_and_ends_it_with_ctrl_c(server: KafkaServer) -> None:
    """It takes over a broker that runs already, which costs a tenth of a start."""
    port = server.bootstrap.rpartition(":")[2]
    command = [sys.executable, "-m", "deploy.kafka_server", "--folder", str(server.folder), "--port", port]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert f"Apache Kafka {kafka_version()}" in process.stdout.readline()
    assert process.stdout.readline() == f"export KAFKA_BOOTSTRAP_SERVERS={server.bootstrap}\n"
    broker = int((server.folder / "kafka.pid").read_text())
    assert serves(server.bootstrap)

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    assert server._process is not None
    server._process.wait(30)  # it was started here, so it is for us to take note of its end
    assert not exists(broker)


@pytest.mark.kafka
def test_a_port_that_somebody_else_holds_is_named(folder: Path) -> None:
    require_kafka_programs()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(KafkaFailed, match=f"port {port} .* is taken"):
            KafkaServer(folder, port).start()


def test_a_missing_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KafkaMissing, match="Java 17"):
        find_java()


def test_missing_jars_without_maven_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("LEADLINE_KAFKA_JARS", str(tmp_path / "jars"))
    with pytest.raises(KafkaMissing, match="Maven"):
        fetch_jars()
    assert os.listdir(tmp_path) == []


def test_an_old_java_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KafkaMissing, match="Java 17"):
        find_java()


def test_the_pom_says_which_version_is_fetched() -> None:
    assert kafka_jars.kafka_version().startswith("4.")
