"""Decides as whom a program runs that refuses to run as root, and starts it that way.

PostgreSQL will not run as root, yet containers and build machines often know nobody else. Three ways, best first:

* `self`: we are an ordinary user; nothing to do.
* `namespace`: a user namespace in which our own files belong to an ordinary account. No second account, no file changes
  hands, and folders that only root may enter (such as root's home) stay reachable, because outside we are still root.
* `account`: a real unprivileged account, for places that forbid user namespaces (a default Docker container does).

The module is its own launcher: run as a script it switches and then becomes the wanted program.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CLONE_NEWUSER = 0x10000000  # linux/sched.h
_OVERFLOW_UID = 65534  # what unmapped owners look like inside a namespace: a poor name for ourselves

Way = Literal["self", "namespace", "account"]


@dataclass(frozen=True)
class Identity:
    """As whom programs run: the way there, and the user and group they see as their own."""

    way: Way
    uid: int
    gid: int

    def command(self, *program: str | Path) -> list[str]:
        """The argument list that runs `program` as this identity."""
        return [*self._launcher("run"), *map(str, program)]

    def reaches(self, program: Path, folder: Path) -> bool:
        """Whether this identity may execute `program` and enter `folder`."""
        if self.way == "self":
            return os.access(program, os.X_OK) and os.access(folder, os.X_OK)
        probe = [*self._launcher("probe"), str(program), str(folder)]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    def works(self) -> bool:
        """Whether this machine lets us become this identity at all."""
        return self.reaches(Path("/"), Path("/"))

    def own(self, path: Path) -> None:
        """Gives `path` to this identity, where that is a change."""
        if self.way == "account":
            os.chown(path, self.uid, self.gid)

    def _launcher(self, verb: str) -> list[str]:
        if self.way == "self":
            return []
        return [sys.executable, "-I", "-S", __file__, verb, self.way, str(self.uid), str(self.gid)]


def ourselves() -> Identity:
    """The identity of this process."""
    return Identity("self", os.geteuid(), os.getegid())


def in_namespace() -> Identity:
    """Root's files seen as those of an ordinary account; any account with a name serves, as no file changes hands."""
    named = sorted(pwd.getpwall(), key=lambda account: (account.pw_uid == _OVERFLOW_UID, account.pw_uid))
    for account in named:
        if account.pw_uid != 0:
            return Identity("namespace", account.pw_uid, account.pw_gid or account.pw_uid)
    return Identity("namespace", _OVERFLOW_UID, _OVERFLOW_UID)


def as_account(uid: int) -> Identity | None:
    """The account with this user id, or None: PostgreSQL wants its user to have a name."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Identity("account", account.pw_uid, account.pw_gid)


def service_accounts() -> list[Identity]:
    """The accounts that a system keeps for such programs, as far as this one has them."""
    known = {account.pw_name: account for account in pwd.getpwall()}
    return [
        Identity("account", known[name].pw_uid, known[name].pw_gid)
        for name in ("postgres", "nobody")
        if name in known and known[name].pw_uid != 0
    ]


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        failure = ctypes.get_errno()
        raise OSError(failure, f"unshare: {os.strerror(failure)}")
    # The kernel takes a group map from an unprivileged writer only once setgroups is off.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _become(way: str, uid: int, gid: int) -> None:
    if way == "namespace":
        _enter_namespace(uid, gid)
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _launch(verb: str, way: str, uid: str, gid: str, program: str, *rest: str) -> None:
    _become(way, int(uid), int(gid))
    if verb == "probe":
        sys.exit(0 if os.access(program, os.X_OK) and os.access(rest[0], os.X_OK) else 1)
    os.execv(program, [program, *rest])


if __name__ == "__main__":
    _launch(*sys.argv[1:])
