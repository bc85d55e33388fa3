"""`python -m MODULE` as a process of its own, quicker: forked from one that has the code of all services loaded.

What a test gets is a process like any other, with its own environment, output and exit code, to be stopped and killed.
It dies with the one it was forked from, and that with the test run, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).parents[2]
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of prctl(2)
# All that is loaded for long and asks nothing of its environment; what is run must not be among it.
_LOADED = (
    "aiokafka",
    "alembic.command",
    "deploy.importing",
    "deploy.run",
    "services.capture.app",
    "services.handover.app",
    "services.insights.app",
    "services.nurture.app",
    "services.scoring.app",
    "shared.bus.kafka",
    "shared.bus.kafka_hearer",
    "shared.process",
    "typer.testing",
    "uvicorn.protocols.http.httptools_impl",
)


class Forked:
    """To be used as `subprocess.Popen` is."""

    def __init__(self, pid: int, ended: int) -> None:
        """`ended` is the file descriptor from which the exit code can be read once there is one."""
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        with self._asking:
            if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
                # Nothing: whoever would have told was killed, and this one with it.
                self.returncode = int(os.read(self._ended, 16) or -signal.SIGKILL)
                os.close(self._ended)
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Raises `subprocess.TimeoutExpired`."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(
    module: str,
    *arguments: str,
    env: Mapping[str, str] = os.environ,
    output: IO[Any] | int = 1,
    errors: IO[Any] | int | None = None,
    new_session: bool = False,
) -> Forked:
    """Run `python -m module arguments` in the project's folder; errors go where the output goes unless said."""
    order = {"module": module, "arguments": arguments, "env": dict(env), "new_session": new_session}
    given = (output, output if errors is None else errors)
    return _parent().fork(order, [file if isinstance(file, int) else file.fileno() for file in given])


class _Parent:
    """The process that all are forked from, from outside."""

    def __init__(self) -> None:
        self._orders, far_end = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.forked", str(far_end.fileno())]
        self._process = subprocess.Popen(
            command, cwd=PROJECT, pass_fds=[far_end.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        far_end.close()
        self._turn = threading.Lock()

    def fork(self, order: Mapping[str, object], files: list[int]) -> Forked:
        ended, told_here = os.pipe()
        said = json.dumps(order).encode()
        with self._turn:
            socket.send_fds(self._orders, [struct.pack("!i", len(said))], [*files, told_here])
            self._orders.sendall(said)
            os.close(told_here)
            (pid,) = struct.unpack("!i", _exactly(self._orders, 4))
        return Forked(pid, ended)

    def end(self) -> None:
        self._orders.close()
        self._process.wait(30)


@cache
def _parent() -> _Parent:
    parent = _Parent()
    atexit.register(parent.end)
    return parent


def _exactly(connection: socket.socket, count: int) -> bytes:
    got = connection.recv(count, socket.MSG_WAITALL)
    if len(got) != count:
        raise ConnectionError("the other end is gone")
    return got


def _serve(orders: socket.socket) -> Mapping[str, Any] | None:
    """Fork for each order, until no more can come; in a forked process answers the order that it is to carry out."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell_who_ended(children)
        if orders not in ready:
            continue
        head, files, _, _ = socket.recv_fds(orders, 4, 3)
        if not head:
            break
        order = json.loads(_exactly(orders, *struct.unpack("!i", head)))
        output, errors, told_there = files
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(output, 1)
            os.dup2(errors, 2)
            for used in (orders.detach(), woken, wake, *files, *children.values()):
                os.close(used)
            return order
        os.close(output)
        os.close(errors)
        children[pid] = told_there
        orders.sendall(struct.pack("!i", pid))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    return None


def _tell_who_ended(children: dict[int, int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            told_there = children.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(told_there, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told_there)


def _carry_out(order: Mapping[str, Any]) -> int:
    """Answers the exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    if order["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = [order["module"], *order["arguments"]]
    try:
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for name in _LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    if (given := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        code = _carry_out(given)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
