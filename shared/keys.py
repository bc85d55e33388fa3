"""Keys beside the operator's, from one file for the whole installation that holds their hashes, never a key.

An array of `Key` as JSON. Every service reads it for itself, and again within a second or so of its being changed.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

LOOK_SECONDS = 1.0

logger = structlog.get_logger("keys")


Scope = StrEnum("Scope", ["post", "read", "card", "work", "configure", "erase", "events"])
"""What a key may be for. Which routes each opens stands in docs/keys.md."""


class BadKeys(SystemExit):
    """The file of keys cannot be used. Uncaught, it ends the process with code 1 and says why on stderr."""


class Key(msgspec.Struct, frozen=True):
    """`id` stands for the key wherever it has to be named; `hash` is `hash_key` of the key itself."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    name: str
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    created_at: datetime | None = None


class Keys:
    """Every key that opens something now: the operator's, with every scope, and those in the file."""

    def __init__(self, operator_key: str, file: Path | None = None) -> None:
        """Raises `BadKeys`; once it runs, a file that cannot be read leaves the keys as they last were."""
        self._operator = Key("operator", "operator", hash_key(operator_key), frozenset(Scope))
        self._file, self._state, self._looked_at = file, (-1,), float("-inf")
        self._others: Sequence[Key] = ()
        self._look()

    def find(self, given: str) -> Key | None:
        hashed = hash_key(given)
        if hmac.compare_digest(hashed, self._operator.hash):
            return self._operator
        try:
            self._look()
        except BadKeys as bad:
            logger.critical("keys_not_read", error=bad)
        return next((key for key in self._others if hmac.compare_digest(hashed, key.hash)), None)

    def _look(self) -> None:
        if self._file is None or time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        if (state := _state_of(self._file)) != self._state:
            # In this order: what is changed while it is being read is read once more.
            self._others, self._state = read_keys(self._file), state


def read_keys(file: Path) -> Sequence[Key]:
    """The keys in a file, none where there is no file. Raises `BadKeys`."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[Key, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError) as error:
        raise BadKeys(f"The keys in {file} cannot be read: {error}") from None


def hash_key(key: str) -> str:
    """What is stored of a key. One fast hash suffices for 256 random bits; it would not for a password."""
    return hashlib.sha256(key.encode()).hexdigest()


def _state_of(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
