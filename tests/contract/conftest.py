from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.line import Line
from tests.support.servers import Databases
from tests.support.toys import make_tables


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def line(request: pytest.FixtureRequest, fresh_database: Databases) -> AsyncIterator[Line]:
    """An empty line over each carrier in turn; its processes are killed at the end."""
    bootstrap = request.getfixturevalue("kafka_bootstrap") if request.param == "kafka" else None
    line = Line(fresh_database(), bootstrap, prefix=f"t{uuid4().hex[:8]}.")
    await make_tables(line.dsn)
    yield line
    line.stop()
