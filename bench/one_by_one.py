"""The baseline of hearing: a FastStream handler that is given one message, works it, and has it acknowledged.

What it does with a message is what scoring does with a batch, by the same code, in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import sys

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.hearing import GROUPS, scoring_on
from shared.events.codec import from_record
from shared.events.topics import Topic


async def main(bootstrap: str, dsn: str) -> None:
    broker = KafkaBroker(bootstrap, logger=None)
    async with scoring_on(dsn) as runtime:

        @broker.subscriber(
            Topic.ACTIVITY.value,
            group_id=GROUPS["faststream"],
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )
        async def hear(message: KafkaMessage) -> None:
            record = message.raw_message
            place = (record.topic, record.partition, record.offset)
            await runtime.consumer.take([from_record(place, record.headers, record.value)])

        await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
