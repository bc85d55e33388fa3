"""Runs real Apache Kafka without Docker: one KRaft broker that is its own controller, on the loopback interface.

`python -m deploy.kafka_server` runs it in the foreground for a developer; tests use KafkaServer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from deploy.kafka_jars import POM, KafkaMissing, fetch_jars, find_java, kafka_version
from deploy.processes import runs_with

HOST = "127.0.0.1"
DEFAULT_PORT = 9092
_CLUSTER_ID = "bGVhZGxpbmUtbG9jYWwtMQ"  # any 16 bytes in URL-safe base64
_START_SECONDS = 90
_STOP_SECONDS = 30
# No code is compiled twice, and one thread collects: with that a start takes 4 s of the processor instead of 7, and
# with the classes of an earlier one 2.
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_METADATA_REQUEST = (3, 4)  # key and version; version 4 is old enough for every Kafka 4 broker

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.retention.ms": "-1",
    # One broker: what a cluster keeps three times is kept once.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # The default takes a quarter of a 512 MB heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    # After a kill -9 the broker may register again only when its former session has ended (9 s by default).
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
}


class KafkaFailed(Exception):
    """The broker did not start; the message has the end of its log."""


@dataclass
class KafkaServer:
    """One Apache Kafka broker with everything it writes in `folder`.

    Without a `port` the one of the last start is taken again, so clients find the broker where it was; the first time
    it is a free one.
    """

    folder: Path
    port: int | None = None

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `127.0.0.1:9092`. Raises KafkaFailed before the first start."""
        port = self.port or self._recorded().get("leadline.port")
        if port is None:
            raise KafkaFailed(f"the broker in {self.folder} was never started")
        return f"{HOST}:{port}"

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.folder / "server.log"

    def start(self) -> str:
        """Starts the broker unless it runs, and returns its address once it answers and takes topics.

        Raises KafkaMissing without Java or jars, KafkaFailed when it does not come up.
        """
        if not self.alive():
            java, jars = find_java(), fetch_jars()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_properties()
            if not (self.folder / "data" / "meta.properties").exists():
                self._format(java, jars)
            self._launch(java, jars)
        return self.bootstrap

    def stop(self) -> None:
        """Stops the broker in order, or by force after 30 seconds; without a running broker does nothing."""
        self._end(signal.SIGTERM, _STOP_SECONDS)
        if not self.alive():
            self._keep_classes()
        self.kill()

    def kill(self) -> None:
        """Ends the broker as a power cut would."""
        self._end(signal.SIGKILL, _STOP_SECONDS)

    def alive(self) -> bool:
        """Whether the broker process of this folder runs."""
        pid = self._pid()
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return pid is not None and runs_with(pid, self._properties_file)

    @property
    def _properties_file(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _own_classes(self) -> Path:
        return self.folder / "classes.jsa"

    def _keep_classes(self) -> None:
        """For all brokers to come, what this one wrote as it ended; where that cannot be, each loads its own."""
        if self._own_classes.exists():
            with suppress(OSError):
                kept = _kept_classes(find_java(), fetch_jars())
                unfinished = Path(shutil.move(self._own_classes, kept.with_name(f"{kept.name}.{os.getpid()}")))
                unfinished.replace(kept)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "kafka.pid"

    def _recorded(self) -> dict[str, str]:
        if not self._properties_file.exists():
            return {}
        return dict(line.split("=", 1) for line in self._properties_file.read_text().splitlines() if "=" in line)

    def _write_properties(self) -> None:
        recorded = self._recorded()
        port = self.port or _usable(recorded.get("leadline.port"))
        # Whoever holds a port that was asked for would otherwise be taken for our broker.
        if self.port and _usable(str(self.port)) != self.port:
            raise KafkaFailed(f"port {self.port} on {HOST} is taken by another program")
        controller = _usable(recorded.get("leadline.controller.port"))
        properties = {
            **_PROPERTIES,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "log.dirs": str(self.folder / "data"),
            # Not Kafka's: where the next start looks for the ports.
            "leadline.port": str(port),
            "leadline.controller.port": str(controller),
        }
        self._properties_file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def _format(self, java: Path, jars: Path) -> None:
        tool = [*_java(java, jars, "-Xmx128m"), "kafka.tools.StorageTool", "format", "--standalone"]
        command = [*tool, "--cluster-id", _CLUSTER_ID, "--config", str(self._properties_file)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode != 0:
            raise KafkaFailed(f"Kafka's storage could not be set up:\n{(outcome.stdout + outcome.stderr)[-2000:]}")

    def _launch(self, java: Path, jars: Path) -> None:
        kept = _kept_classes(java, jars)
        classes = f"SharedArchiveFile={kept}" if kept.exists() else f"ArchiveClassesAtExit={self._own_classes}"
        options = ["-Xmx512m", "-Xms128m", *_QUICK, f"-XX:{classes}"]
        command = [*_java(java, jars, *options), "kafka.Kafka", str(self._properties_file)]
        with self.log.open("wb") as log:
            # Its own session: a Ctrl-C meant for the starter must not reach the broker past an orderly stop.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        self._pid_file.write_text(str(self._process.pid))
        until = time.monotonic() + _START_SECONDS
        while not serves(self.bootstrap):
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
                raise KafkaFailed(f"Apache Kafka did not start in {self.folder}:\n{tail}")
            time.sleep(0.05)

    def _pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _end(self, with_signal: signal.Signals, within: float) -> None:
        pid = self._pid()
        if pid is None or not self.alive():
            return
        os.killpg(pid, with_signal)
        until = time.monotonic() + within
        while self.alive() and time.monotonic() < until:
            time.sleep(0.02)
        if not self.alive():
            self._process = None
            self._pid_file.unlink(missing_ok=True)


def _java(java: Path, jars: Path, *options: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={POM.with_name('log4j2.properties')}"
    return [str(java), *options, "-Djava.awt.headless=true", logging, "-cp", f"{jars}/*"]


def _kept_classes(java: Path, jars: Path) -> Path:
    """Where the classes of a broker are kept as this very Java has loaded and checked them: half of a start's work."""
    return jars.with_name(f"{jars.name}-{java.resolve().stat().st_mtime_ns}.jsa")


def _usable(recorded: str | None) -> int:
    """The recorded port when it is still free, else any free one."""
    for wanted in (int(recorded), 0) if recorded else (0,):
        with closing(socket.socket()) as probe:
            # As the broker does: a port whose last connections are still winding down counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise KafkaFailed("no free port on the loopback interface")


def serves(bootstrap: str) -> bool:
    """Whether a broker at `host:port` answers a metadata request and names itself in it.

    It answers earlier than that, but takes no topics until its controller has let it in.
    """
    host, _, port = bootstrap.rpartition(":")
    key, version = _METADATA_REQUEST
    client = b"leadline"
    no_topics, no_creation = struct.pack("!i", 0), b"\0"
    body = struct.pack("!hhih", key, version, 1, len(client)) + client + no_topics + no_creation
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(struct.pack("!i", len(body)) + body)
            answer = connection.recv(16, socket.MSG_WAITALL)
    except OSError:
        return False
    # length, correlation id, throttle time, number of brokers
    return len(answer) == 16 and struct.unpack("!iiii", answer)[3] >= 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka_server", description=__doc__)
    data = Path(os.environ.get("LEADLINE_DATA_DIR", ".leadline"))
    parser.add_argument("--folder", type=Path, default=data / "kafka", help="where it keeps its data")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on 127.0.0.1")
    return parser.parse_args()


def _stop_on_signal(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Runs the broker until Ctrl-C or SIGTERM; returns the exit code."""
    arguments = _arguments()
    server = KafkaServer(arguments.folder, arguments.port)
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, _stop_on_signal)
    try:
        bootstrap = server.start()
        print(f"Apache Kafka {kafka_version()} answers. Data and log: {server.folder}. Ctrl-C stops it.")
        print(f"export KAFKA_BOOTSTRAP_SERVERS={bootstrap}", flush=True)
        while server.alive():
            time.sleep(0.5)
        print(f"Apache Kafka ended by itself; see {server.log}", file=sys.stderr)
    except (KafkaMissing, KafkaFailed) as failure:
        print(failure, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()
    return 1


if __name__ == "__main__":
    sys.exit(main())
