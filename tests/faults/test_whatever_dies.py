"""Leads come in all the time while, one after the other, everything they pass through dies, stops and comes back.

The long run is part of `make faults`: FAULT_LEADS and FAULTS say how long it is. The short ones are part of
`make test`, on servers that others use too, which therefore stay. FAULT_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.kafka_server import KafkaServer
from deploy.postgres import EmbeddedPostgres
from tests.support.harm import Harm
from tests.support.installation import Installation, installation
from tests.support.mail_sink import mail_sink
from tests.support.servers import Databases
from tests.support.trial import Trial

LEADS = int(os.environ.get("FAULT_LEADS", "200"))
FAULTS = int(os.environ.get("FAULTS", "3"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.randrange(1, 2**31)
PER_SECOND = float(os.environ.get("FAULT_LEADS_PER_SECOND", "60"))


def _ready(inst: Installation) -> Installation:
    for number in range(3):
        inst.post("handover", "/v1/reps", {"name": f"Rep {number}", "email": f"rep{number}@norrvik.com"})
    return inst


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def harm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harm]:
    """An installation on servers of its own, and all that can happen to it."""
    with ExitStack() as servers:
        postgres = EmbeddedPostgres(tmp_path / "postgres", shared_buffers="256MB")
        dsn = postgres.start()
        servers.callback(postgres.stop)
        carrier: dict[str, str] = {}
        kafka = None
        if request.param == "kafka":
            kafka = KafkaServer(tmp_path / "kafka")
            carrier = {"KAFKA_BOOTSTRAP_SERVERS": kafka.start(), "KAFKA_TOPIC_PREFIX": f"f{uuid4().hex[:6]}."}
            servers.callback(kafka.stop)
        mails = servers.enter_context(mail_sink(tmp_path))
        with installation(tmp_path, dsn, SMTP_URL=mails.url, **carrier) as inst:
            yield Harm(_ready(inst), random.Random(SEED), postgres, kafka, mails)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_nothing_is_lost_doubled_or_disordered(harm: Harm, tmp_path: Path) -> None:
    trial = Trial(harm, tmp_path / "journal", SEED, LEADS, FAULTS, PER_SECOND)
    trial.run()
    assert trial.too_slow() == []


def test_in_a_short_run_nothing_is_lost_doubled_or_disordered_either(fresh_database: Databases, tmp_path: Path) -> None:
    with mail_sink(tmp_path) as mails, installation(tmp_path, fresh_database(), SMTP_URL=mails.url) as inst:
        harm = Harm(_ready(inst), random.Random(SEED), mails=mails)
        Trial(harm, tmp_path / "journal", SEED, 100, 3, 20).run()
