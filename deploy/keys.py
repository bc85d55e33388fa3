"""`leadline keys`: makes, lists and takes back the keys beside the operator's, in the one file all services read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from deploy.kept_file import changing, write
from shared.keys import Key, Scope, hash_key, read_keys


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
    with changing(file, read_keys) as keys:
        taken = {key.id for key in keys}
        key_id = next(made for made in iter(_new_id, "") if made not in taken)
        key = Key(key_id, name, hash_key(given), frozenset(scopes), now)
        write(file, [*keys, key])
    return given, key


def revoke(file: Path, key_id: str) -> Key:
    """What was kept of the key. Raises `NoSuchKey`."""
    with changing(file, read_keys) as keys:
        gone = next((key for key in keys if key.id == key_id), None)
        if gone is None:
            raise NoSuchKey(f"There is no key {key_id!r} in {file}. `leadline keys list` shows those there are.")
        write(file, [key for key in keys if key.id != key_id])
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
