"""Real servers for every test: one of each per run, started when the first test asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import structlog
from xdist.remote import Producer

from shared import database
from tests.support.groups import Sharing, group_of
from tests.support.line import Line
from tests.support.servers import (
    Databases,
    find_chromium,
    find_shared_data,
    folder_for_servers,
    kafka_server,
    own_brokers,
    postgres_server,
)
from tests.support.toys import make_tables

if TYPE_CHECKING:
    from playwright.async_api import Browser

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Brokers of tests live for seconds or minutes: a quick start is worth more than a quick broker.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


# How soon a service turns a caller away is shown by tests that ask for it; to all others a slow machine is no outage.
SHIPPED_ACQUIRE_SECONDS = database.ACQUIRE_SECONDS
database.ACQUIRE_SECONDS = database.CONNECT_SECONDS = 30.0

# httpx asks for it at each request to an app; where it is not installed the whole path was searched each time.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# A traceback drawn with all its local variables takes seconds, and nobody looks at most of them.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture
def soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free connection it is told as soon as in production."""
    monkeypatch.setattr(database, "ACQUIRE_SECONDS", SHIPPED_ACQUIRE_SECONDS)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers of this run keep their data."""
    with folder_for_servers() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_admin_dsn(server_folder: Path) -> Iterator[str]:
    """A real PostgreSQL, as a user who may create databases."""
    with postgres_server(server_folder) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def fresh_database(postgres_admin_dsn: str) -> Iterator[Databases]:
    """Call it for the DSN of a new database: `fresh_database()`, or `fresh_database(template=dsn)` for a copy."""
    databases = Databases(postgres_admin_dsn)
    yield databases
    if "TEST_DATABASE_URL" in os.environ:  # every other server goes with all that is on it
        databases.drop_all()


@pytest.fixture(scope="session")
def postgres_dsn(fresh_database: Databases) -> str:
    """The DSN of a database that this run has for itself and its tests share."""
    return fresh_database()


@pytest.fixture(scope="session")
def kafka_bootstrap(server_folder: Path) -> Iterator[str]:
    """The address of a real Apache Kafka, as `host:port`. Topics are shared by the run: name yours uniquely."""
    with kafka_server(server_folder) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """A real browser for Playwright's `executable_path`."""
    return find_chromium()


@pytest.fixture(scope="session")
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """One for all: it costs seconds to start. Whoever wants to be a visitor of its own makes a context."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=QUIET)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real lead files; tests that want them are skipped where it is not there."""
    return find_shared_data()


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


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A broker without work goes on working: after the last test that wants one it is ended.

    Only workers have all such tests in one row.
    """
    is_last = nextitem is None or group_of(nextitem.nodeid) != "kafka"
    if "PYTEST_XDIST_WORKER" in os.environ and group_of(item.nodeid) == "kafka" and is_last:
        for broker in own_brokers:
            broker.kill()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("kafka") is not None and group_of(item.nodeid) != "kafka":
            raise pytest.UsageError(f"{item.nodeid} is marked kafka, so its name has to speak of Kafka")
