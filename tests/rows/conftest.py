"""One installation for all rows: the real process tree on a database of its own, with a mail server that listens."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.installation import Installation, installation
from tests.support.servers import Databases


@pytest.fixture(scope="session")
def one_for_all(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("installation"), fresh_database()) as running:
        yield running


@pytest.fixture
def inst(one_for_all: Installation) -> Installation:
    one_for_all.start()
    return one_for_all


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Five services without work still ask for some many times a second: after the last row they are stopped."""
    made = getattr(item, "funcargs", {}).get("one_for_all")
    if made is not None and (nextitem is None or nextitem.path.parent != item.path.parent):
        made.stop()


@pytest.fixture(scope="session")
def rep(one_for_all: Installation) -> str:
    """A rep who can be offered leads; answers the id."""
    found = one_for_all.post("handover", "/v1/reps", {"name": "Daniel Osei", "email": "daniel@sales.example.com"})
    return str(found["rep_id"])


@pytest.fixture
def person() -> str:
    """The address of somebody nobody has heard of."""
    return f"person-{uuid4().hex[:12]}@norrvik-logistics.com"
