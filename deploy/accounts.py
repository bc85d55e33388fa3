"""`leadline accounts`: who may sign in to the console, in a file that holds no password."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from deploy.kept_file import changing, write
from services.insights.accounts import (
    LEAST_CHARACTERS,
    MOST_CHARACTERS,
    OPERATOR,
    Account,
    hash_password,
    read_accounts,
)
from shared.keys import Role


class CannotDo(SystemExit):
    """The accounts stay as they are; the message says why."""


def accounts_file() -> Path:
    """Where the console looks: LEADLINE_ACCOUNTS_FILE, else `accounts.json` in the data folder."""
    data_dir = Path(os.environ.get("LEADLINE_DATA_DIR") or ".leadline")
    return Path(os.environ.get("LEADLINE_ACCOUNTS_FILE") or data_dir / "accounts.json")


def add(file: Path, name: str, password: str, role: Role, rep: UUID | None, now: datetime) -> Account:
    """A new account. Raises `CannotDo`."""
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise CannotDo("The name is a line of up to 80 characters.")
    if (rep is not None) != (role is Role.rep):
        raise CannotDo("An account in the role rep, and no other, names the rep: --rep and the id from GET /v1/reps.")
    kept = _kept(password)
    with changing(file, read_accounts) as accounts:
        if name.casefold() in {OPERATOR, *(one.name.casefold() for one in accounts)}:
            raise CannotDo(f"There is an account {name!r} already.")
        account = Account(f"a_{secrets.token_hex(6)}", name, kept, role, rep, now)
        write(file, [*accounts, account])
    return account


def set_password(file: Path, name: str, password: str) -> None:
    """Whoever was signed in by the old one is not any more. Raises `CannotDo`."""
    kept = _kept(password)
    with changing(file, read_accounts) as accounts:
        changed = msgspec.structs.replace(_named(accounts, name), password=kept)
        write(file, [changed if one.id == changed.id else one for one in accounts])


def remove(file: Path, name: str) -> None:
    """Raises `CannotDo`."""
    with changing(file, read_accounts) as accounts:
        gone = _named(accounts, name)
        write(file, [one for one in accounts if one.id != gone.id])


def as_text(accounts: Sequence[Account]) -> str:
    """One line for each account: name, role, when it was made, whose."""
    width = max((len(one.name) for one in accounts), default=0)
    return "\n".join(
        f"{one.name:<{width}}  {one.role.replace('_', ' '):<12}  "
        f"{f'{one.created_at:%Y-%m-%d}' if one.created_at else '':<10}  {one.rep or ''}".rstrip()
        for one in accounts
    )


def _named(accounts: Sequence[Account], name: str) -> Account:
    found = next((one for one in accounts if one.name.casefold() == name.casefold()), None)
    if found is None:
        raise CannotDo(f"There is no account {name!r}. `leadline accounts list` shows those there are.")
    return found


def _kept(password: str) -> str:
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise CannotDo(f"A password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters; any will do, also spaces.")
    return hash_password(password, secrets.token_bytes(16))
