"""How one service runs as a process: `python -m services.scoring [api] [consume] [relay] [migrate]`, all by default."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sys
from typing import Any

from shared.logs import configure_logs
from shared.migrations import migrate
from shared.server import server
from shared.service import PARTS, Runtime, Service

# Allocations between two looks at the youngest objects, and looks between those at older ones. With Python's own (700,
# 10, 10) the collector took an eighth of the intake's time, and found nothing: what a request makes is gone with it.
_COLLECT_AFTER = (50_000, 20, 50)


def spare_the_collector() -> None:
    """To be called once everything is loaded: what lives from start to end is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _allow_connections() -> None:
    """As many files as the system lets us open: many start a process with 1,024, and callers may hold a thousand."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(service: Service[Any], arguments: list[str] | None = None) -> None:
    """Run the parts that are named, until SIGTERM or SIGINT."""
    wanted = sys.argv[1:] if arguments is None else arguments
    if unknown := [name for name in wanted if name not in (*PARTS, "migrate")]:
        raise SystemExit(f"{service.name} has no part {unknown[0]!r}; there are {', '.join(PARTS)} and migrate")
    configure_logs(service.name)
    settings = service.settings.load()
    if "migrate" in wanted:
        asyncio.run(migrate(service.name, settings.database_url))
        return
    _allow_connections()
    runtime = Runtime(service, settings)
    app = runtime.app(wanted or PARTS)
    spare_the_collector()
    server(app, settings.host, settings.port_of(service.name)).run()
