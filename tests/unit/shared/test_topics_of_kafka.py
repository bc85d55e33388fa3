"""What the client of Kafka says of a cluster that is just coming back, in words that our patience understands."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.bus.kafka import ensure_topics
from shared.events.topics import Topic


async def test_a_cluster_that_has_not_said_who_controls_it_is_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def bootstrapped(_admin: AIOKafkaAdminClient) -> None:
        """It was reached; of who controls it, it has said nothing."""

    async def nothing_new(*_given: object) -> bool:
        return True

    monkeypatch.setattr(AIOKafkaAdminClient, "start", bootstrapped)
    monkeypatch.setattr("aiokafka.client.AIOKafkaClient.force_metadata_update", nothing_new)
    with pytest.raises(KafkaError):
        await ensure_topics("127.0.0.1:1", "", [Topic.CARD])
