"""Finds Java and the jars of Apache Kafka on this machine, fetching the jars once by Maven."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

POM = Path(__file__).parent / "kafka" / "pom.xml"
OLDEST_JAVA = 17  # what Kafka 4 brokers are compiled for


class KafkaMissing(Exception):
    """Apache Kafka cannot run here; the message names what is missing."""


def kafka_version() -> str:
    """The version that the POM asks for, for example `4.3.1`."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text())
    if found is None:
        raise KafkaMissing(f"{POM} names no kafka.version")
    return found.group(1)


def jars_folder() -> Path:
    """Where the jars are kept: `LEADLINE_KAFKA_JARS`, else a folder per version in the user's cache."""
    chosen = os.environ.get("LEADLINE_KAFKA_JARS")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "leadline" / f"kafka-{kafka_version()}"


def find_java() -> Path:
    """A `java` of version 17 or newer, from `JAVA_HOME` or the path. Raises KafkaMissing."""
    home = os.environ.get("JAVA_HOME")
    candidates = [Path(home) / "bin" / "java"] if home else []
    on_path = shutil.which("java")
    candidates += [Path(on_path)] if on_path else []
    for java in candidates:
        if java.is_file() and _java_major(java) >= OLDEST_JAVA:
            return java
    raise KafkaMissing(f"Apache Kafka 4 needs Java {OLDEST_JAVA} or newer, on the PATH or in JAVA_HOME")


def fetch_jars() -> Path:
    """The folder with Kafka's jars, filled by Maven on first use. Raises KafkaMissing when they cannot be fetched.

    Fetched beside their place and moved there whole, under a lock: an interrupted download is never taken for Kafka.
    """
    folder = jars_folder()
    if _complete(folder):
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissing(f"Apache Kafka's jars are not in {folder}, and Maven (mvn) is not there to fetch them")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _complete(folder):
            _fetch(maven, folder)
    return folder


def _fetch(maven: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=folder.name, dir=folder.parent) as unfinished:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
        command = [maven, "-B", "-q", "-ntp", "-f", str(POM), *goal]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode != 0 or not _complete(Path(unfinished)):
            said = (outcome.stdout + outcome.stderr).strip()[-2000:]
            raise KafkaMissing(f"Maven could not fetch Apache Kafka {kafka_version()}:\n{said}")
        folder.mkdir(exist_ok=True)
        # The broker's own jar last: it is what says that the rest is there.
        for jar in sorted(Path(unfinished).iterdir(), key=lambda jar: jar.name.startswith("kafka_2.13-")):
            jar.replace(folder / jar.name)


def _complete(folder: Path) -> bool:
    return (folder / f"kafka_2.13-{kafka_version()}.jar").is_file()


def _java_major(java: Path) -> int:
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return int(version.group(1)) if version else 0
