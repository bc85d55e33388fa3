"""The accounts of people who sign in to the console, from one file that holds no password.

An array of `Account` as JSON, written by `leadline accounts`. The operator's key is an account too, named `operator`,
so that nobody needs the file to begin.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec

from shared.keys import Kept, Role, hash_key

OPERATOR = "operator"
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 200
# OWASP's cheat sheet on storing passwords names this pair for 16 MB; a third of a second, or so, for each try.
COST, BLOCK, PARALLEL = 2**14, 8, 5
MOST_MEMORY = 64 * 2**20


class BadAccounts(SystemExit):
    """The file of accounts cannot be used. Uncaught, it ends the process with code 1 and says why on stderr."""


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """`name` is what its person types; `password` is what `hash_password` made. A `rep` is one of handover's."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    password: Annotated[str, msgspec.Meta(pattern=r"^scrypt(:\d+){3}(\$[0-9a-f]+){2}$")]
    role: Role
    rep: UUID | None = None
    created_at: datetime | None = None

    @property
    def stamp(self) -> str:
        """Another one after each change of the password, so that what was signed in before is not any more."""
        return hashlib.sha256(self.password.encode()).hexdigest()[:16]


class Accounts:
    """Whoever may sign in now."""

    def __init__(self, operator_key: str, file: Path) -> None:
        """Raises `BadAccounts`."""
        self._operator = Account(OPERATOR, OPERATOR, hash_key(operator_key), Role.operator)
        self._file = Kept(file, read_accounts)

    def get(self, account_id: object) -> Account | None:
        return next((one for one in self._all() if one.id == account_id), None)

    def enter(self, name: str, password: str) -> Account | None:
        """The account, if that is its password. Takes as long for a name that nobody has."""
        found = next((one for one in self._all() if one.name.casefold() == name.casefold()), None)
        if found and found.id == OPERATOR:
            return found if hmac.compare_digest(hash_key(password), found.password) else None
        fits = has_password(password, found.password if found else _NOBODY)
        return found if fits else None

    def _all(self) -> Sequence[Account]:
        return (self._operator, *self._file.now())


def read_accounts(file: Path) -> Sequence[Account]:
    """The accounts in a file, none where there is no file. Raises `BadAccounts`."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[Account, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError) as error:
        raise BadAccounts(f"The accounts in {file} cannot be read: {error}") from None


def hash_password(password: str, salt: bytes) -> str:
    """What is stored of a password: how it was hashed, its own salt, the hash."""
    return _stored(salt, _hashed(password, salt, COST, BLOCK, PARALLEL))


def _stored(salt: bytes, hashed: bytes) -> str:
    return f"scrypt:{COST}:{BLOCK}:{PARALLEL}${salt.hex()}${hashed.hex()}"


def has_password(password: str, kept: str) -> bool:
    costs, salt, hashed = kept.removeprefix("scrypt:").split("$")
    cost, block, parallel = map(int, costs.split(":"))
    return hmac.compare_digest(_hashed(password, bytes.fromhex(salt), cost, block, parallel), bytes.fromhex(hashed))


def _hashed(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    typed = password[:MOST_CHARACTERS].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(typed, salt=salt, n=cost, r=block, p=parallel, maxmem=MOST_MEMORY, dklen=32)


# Hashed as any other, by nobody's password.
_NOBODY = _stored(secrets.token_bytes(16), secrets.token_bytes(32))
