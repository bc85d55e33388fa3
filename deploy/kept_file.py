"""Files that services read and commands change: who changes one holds a lock beside it, and puts a new one there.

Two at once lose nothing, and a reader finds the old or the new, never a half.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

MODE = 0o600
T = TypeVar("T")


@contextmanager
def changing(file: Path, read: Callable[[Path], Sequence[T]]) -> Generator[Sequence[T]]:
    """What the file holds, while nobody else changes it. The lock has its own file, since `file` is replaced."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, MODE)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield read(file)
    except OSError as error:
        raise SystemExit(f"{file} cannot be changed: {error.strerror}") from None


def write(file: Path, entries: Sequence[msgspec.Struct]) -> None:
    text = msgspec.json.format(msgspec.json.encode(entries, order="sorted"), indent=2) + b"\n"
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
