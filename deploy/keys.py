"""`leadline keys`: makes, lists and takes back the keys beside the operator's, in the one file that all services read.

Who changes the file holds a lock beside it, writes a new one and puts it in the place of the old: two at once lose
nothing, and a reader finds the one or the other, never a half.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from shared.keys import Key, Scope, hash_key, read_keys

MODE = 0o600


class NoSuchKey(SystemExit):
    """There is no key with this id."""


def keys_file() -> Path:
    """Where the services look: LEADLINE_KEYS_FILE, else `keys.json` in the data folder."""
    return Path(
        os.environ.get("LEADLINE_KEYS_FILE") or Path(os.environ.get("LEADLINE_DATA_DIR") or ".leadline") / "keys.json"
    )


def make(file: Path, name: str, scopes: Iterable[Scope], now: datetime) -> tuple[str, Key]:
    """A new key, which is told here and never again, and what is kept of it."""
    given = f"lk_{secrets.token_urlsafe(32)}"
    with _changing(file) as keys:
        taken = {key.id for key in keys}
        key_id = next(made for made in iter(_new_id, "") if made not in taken)
        key = Key(key_id, name, hash_key(given), frozenset(scopes), now)
        _write(file, [*keys, key])
    return given, key


def revoke(file: Path, key_id: str) -> Key:
    """What was kept of the key. Raises `NoSuchKey`."""
    with _changing(file) as keys:
        gone = next((key for key in keys if key.id == key_id), None)
        if gone is None:
            raise NoSuchKey(f"There is no key {key_id!r} in {file}. `leadline keys list` shows those there are.")
        _write(file, [key for key in keys if key.id != key_id])
    return gone


def as_text(keys: Sequence[Key]) -> str:
    """One line for each key: id, name, when it was made, what it is for."""
    width = max((len(key.name) for key in keys), default=0)
    return "\n".join(
        f"{key.id}  {key.name:<{width}}  {f'{key.created_at:%Y-%m-%d}' if key.created_at else '':<10}  "
        f"{' '.join(scope for scope in Scope if scope in key.scopes)}"
        for key in keys
    )


def _new_id() -> str:
    return f"k_{secrets.token_hex(4)}"


@contextmanager
def _changing(file: Path) -> Generator[Sequence[Key]]:
    """The keys as they are, while nobody else changes them. The lock has its own file, since `file` is replaced."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, MODE)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield read_keys(file)
    except OSError as error:
        raise SystemExit(f"The keys in {file} cannot be changed: {error.strerror}") from None


def _write(file: Path, keys: Sequence[Key]) -> None:
    text = msgspec.json.format(msgspec.json.encode(keys, order="sorted"), indent=2) + b"\n"
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
