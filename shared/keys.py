"""Who may do what: keys beside the operator's, and the roles of people who sign in.

The keys stand in one file for the whole installation, an array of `Key` as JSON that holds their hashes, never a key.
Every service reads it for itself, and again within a second or so of its being changed.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
import structlog

LOOK_SECONDS = 1.0

logger = structlog.get_logger("keys")
T = TypeVar("T")

Scope = StrEnum("Scope", ["post", "read", "card", "work", "configure", "erase", "events", "operate"])
"""What a key may be for. Which routes each opens stands in docs/keys.md."""

Role = StrEnum("Role", ["operator", "marketer", "lead_manager", "rep", "reader"])
"""What somebody is at the console; `reader` is whoever sits at this machine where the console is open to them."""

SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.operator: frozenset(Scope),
    Role.marketer: frozenset({Scope.read, Scope.card, Scope.configure}),
    Role.lead_manager: frozenset({Scope.read, Scope.card, Scope.work}),
    # What a rep may do hangs on whose the lead is, which only handover knows.
    Role.rep: frozenset(),
    Role.reader: frozenset({Scope.read, Scope.card}),
}


class BadKeys(SystemExit):
    """The file of keys cannot be used. Uncaught, it ends the process with code 1 and says why on stderr."""


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """`id` stands for the key wherever it has to be named; `hash` is `hash_key` of the key itself.

    A person who signed in has one too, without a hash; that of a `rep` opens what is theirs.
    """

    id: Annotated[str, msgspec.Meta(min_length=1)]
    name: str
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    created_at: datetime | None = None
    rep: UUID | None = None


Signed = Callable[[str], Key | None]


class Kept(Generic[T]):
    """What a file says, read again within a second or so of its being changed."""

    def __init__(self, file: Path, read: Callable[[Path], T]) -> None:
        """Raises as `read`; once it runs, a file that cannot be read leaves what it last said."""
        self._file, self._read, self._looked_at, self._state = file, read, time.monotonic(), _state_of(file)
        self._said = read(file)

    def now(self) -> T:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            if (state := _state_of(self._file)) != self._state:
                try:
                    # In this order: what is changed while it is being read is read once more.
                    self._said, self._state = self._read(self._file), state
                except SystemExit as bad:
                    logger.critical("keys_not_read", error=bad)
        return self._said


class Keys:
    """Every key that opens something now: the operator's, with every scope, and those in the file."""

    def __init__(self, operator_key: str, file: Path | None = None, signed: Signed = lambda _given: None) -> None:
        """`signed` finds what needs no file. Raises `BadKeys`."""
        self._signed = signed
        self._operator = Key("operator", "operator", hash_key(operator_key), frozenset(Scope))
        self._others = Kept(file, read_keys) if file else None

    def find(self, given: str) -> Key | None:
        hashed = hash_key(given)
        if hmac.compare_digest(hashed, self._operator.hash):
            return self._operator
        others = self._others.now() if self._others else ()
        return next((key for key in others if hmac.compare_digest(hashed, key.hash)), None) or self._signed(given)


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
