"""When a client of Kafka is given up that still reads, but finds nobody any more to commit its offsets to."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError

from shared.bus import kafka_hearer
from shared.bus.kafka import ended
from shared.bus.kafka_hearer import Deaf, KafkaHearer
from tests.support.toys import HEARER, toy

AT = TopicPartition("leads.stage", 3)


class Client:
    """Of aiokafka's consumer what a commit needs: one partition, read up to 40."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.asked = 0
        position = SimpleNamespace(position=40, has_valid_position=True)
        assigned = SimpleNamespace(state_value=lambda _partition: position)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assigned))

    def assignment(self) -> set[TopicPartition]:
        return {AT}

    async def commit(self, _offsets: Any) -> None:
        self.asked += 1
        if not self.answers:
            raise GroupCoordinatorNotAvailableError


@pytest.fixture
def hearer() -> KafkaHearer:
    hearer = KafkaHearer(toy(HEARER, "postgresql://nobody@127.0.0.1:1/nothing"), "127.0.0.1:1")
    hearer._done = {AT: 40}
    hearer._answers = {AT: (int(time.time() * 1000), 0.0)}
    return hearer


async def test_one_that_cannot_commit_for_long_is_given_up(
    hearer: KafkaHearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearer._committed_well = kafka_hearer.time.monotonic()
    await hearer._commit(Client(answers=False))  # type: ignore[arg-type]
    assert hearer._done == {AT: 40}
    monkeypatch.setattr(kafka_hearer, "UNCOMMITTED_SECONDS", 0.0)
    with pytest.raises(Deaf):
        await hearer._commit(Client(answers=False))  # type: ignore[arg-type]


async def test_one_that_has_nothing_to_commit_or_is_answered_is_kept(
    hearer: KafkaHearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hearer._commit(Client(answers=True))  # type: ignore[arg-type]
    assert hearer._done == {}
    hearer._committed_well = 0.0
    await hearer._commit(Client(answers=False))  # type: ignore[arg-type]
    monkeypatch.setattr(kafka_hearer, "UNCOMMITTED_SECONDS", 1.0)
    hearer._done = {AT: 40}
    await hearer._commit(Client(answers=False))  # type: ignore[arg-type]


async def test_one_that_kafka_does_not_answer_either_is_kept_and_loses_no_time_with_its_offsets(
    hearer: KafkaHearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_hearer, "UNCOMMITTED_SECONDS", 0.0)
    away = Client(answers=False)
    for nothing in ({}, {AT: (None, 0.0)}, {AT: (int(time.time() * 1000) - 60_000, 0.0)}):
        hearer._answers = nothing  # type: ignore[assignment]
        await hearer._commit(away)  # type: ignore[arg-type]
    assert away.asked == 0
    # Once it answers, the time begins.
    hearer._answers = {AT: (int(time.time() * 1000), 0.0)}
    monkeypatch.setattr(kafka_hearer, "UNCOMMITTED_SECONDS", 1.0)
    await hearer._commit(away)  # type: ignore[arg-type]
    assert (away.asked, hearer._done) == (1, {AT: 40})


async def test_a_client_that_ends_with_a_cancellation_or_not_at_all_takes_nobody_with_it() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def well() -> None:
        pass

    def client(stop: Any) -> Any:
        return SimpleNamespace(stop=stop)

    assert await ended(client(well), 1.0)
    assert not await ended(client(cancelled), 1.0)
    assert not await ended(client(asyncio.Event().wait), 0.01)
