"""One installation for all rows: the real process tree on a database of its own, with a mail server that listens."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.installation import Installation, installation
from tests.support.servers import Databases


@pytest.fixture(scope="session")
def inst(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("installation"), fresh_database()) as running:
        yield running


@pytest.fixture(scope="session")
def rep(inst: Installation) -> str:
    """A rep who can be offered leads; answers the id."""
    found = inst.post("handover", "/v1/reps", {"name": "Daniel Osei", "email": "daniel@sales.example.com"})
    return str(found["rep_id"])


@pytest.fixture
def person() -> str:
    """The address of somebody nobody has heard of."""
    return f"person-{uuid4().hex[:12]}@norrvik-logistics.com"
