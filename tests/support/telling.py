"""Toy services that speak, and the command `leadline` beside them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.forked import fork
from tests.support.line import Line
from tests.support.toys import SPEAKER, toy


@asynccontextmanager
async def speaking(line: Line, *parts: str) -> AsyncIterator[Any]:
    speaker = toy(SPEAKER, line.dsn, line.bootstrap, line.prefix)
    async with speaker.running(parts):
        await speaker.prepared.wait()
        yield speaker


async def leadline(line: Line, *words: str) -> str:
    """What the command says, which has to end well."""
    environment = os.environ | {
        "DATABASE_URL": line.dsn,
        "KAFKA_BOOTSTRAP_SERVERS": line.bootstrap or "",
        "KAFKA_TOPIC_PREFIX": line.prefix,
        "LEADLINE_API_KEY": "toy-operator-key",
        "LEADLINE_DATA_DIR": str(line.output.with_suffix(".data")),
    }
    with tempfile.TemporaryFile("w+") as output:
        process = fork("deploy.cli", *words, env=environment, output=output)
        ended = await asyncio.to_thread(process.wait, 60)
        output.seek(0)
        said = output.read()
    assert ended == 0, said
    return said
