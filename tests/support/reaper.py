"""Stops the servers of a test run when the run ends, also when it was killed: waits for the end of standard input."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres


def reap(folder: Path) -> None:
    """Stops every server that keeps its data in `folder`, and removes the folder."""
    KafkaServer(folder / "kafka").kill()
    EmbeddedPostgres(folder / "postgres").stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.stdin.read()
    reap(Path(sys.argv[1]))
