from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.line import Line
from tests.support.servers import Databases
from tests.support.toys import make_tables


@pytest.fixture(scope="session")
async def made_once(fresh_database: Databases) -> str:
    dsn = fresh_database()
    await make_tables(dsn)
    return dsn


@pytest.fixture
def toy_dsn(fresh_database: Databases, made_once: str) -> str:
    """A new database with the tables of the toy services."""
    return fresh_database(template=made_once)


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def line(request: pytest.FixtureRequest, toy_dsn: str) -> Iterator[Line]:
    """An empty line over each carrier in turn; its processes are killed at the end."""
    bootstrap = request.getfixturevalue("kafka_bootstrap") if request.param == "kafka" else None
    line = Line(toy_dsn, bootstrap, prefix=f"t{uuid4().hex[:8]}.")
    yield line
    line.stop()


@pytest.fixture
def kafka_line(kafka_bootstrap: str, toy_dsn: str) -> Iterator[Line]:
    """As `line`, for what only Kafka can do."""
    line = Line(toy_dsn, kafka_bootstrap, prefix=f"t{uuid4().hex[:8]}.")
    yield line
    line.stop()
