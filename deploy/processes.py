"""Says whether a process number still belongs to the program that it was given to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def exists(pid: int) -> bool:
    """Whether a process of this number exists, whoever owns it, zombies included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def runs_with(pid: int, argument: Path) -> bool:
    """Whether the process was started with `argument` among its arguments.

    A zombie runs nothing and a recycled number runs something else: both are answered with no.
    """
    if not exists(pid):
        return False
    if Path("/proc/self").exists():
        try:
            return os.fsencode(argument) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    command = ["/bin/ps", "-ww", "-o", "stat=,command=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, check=False).stdout.strip()
    return os.fsencode(argument) in listed and not listed.startswith(b"Z")
