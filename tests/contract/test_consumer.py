"""The consumer alone, given events in every order a carrier could bring them: delayed, repeated, cut into batches."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from shared.clock import uuid7
from shared.consumer import Consumer
from shared.events.codec import Stored, encode_attributes, encode_body
from shared.events.envelope import Attributes, Envelope, Event
from shared.events.privacy import ErasureDone
from tests.support.set_clock import SetClock
from tests.support.toys import NOON, Toy, erase, said, speak


def as_some_carrier_brings_it(events: Sequence[Stored], dice: random.Random) -> list[list[Stored]]:
    """Each topic in order, topics delayed against each other, a third brought twice, in batches of any size."""
    queues: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        queues[event.topic].append(event)
        if dice.random() < 0.3:
            queues[event.topic].append(event)
    mixed: list[Stored] = []
    while queues:
        topic = dice.choice(list(queues))
        many = dice.randint(1, len(queues[topic]))
        mixed += queues[topic][:many]
        queues[topic] = queues[topic][many:]
        if not queues[topic]:
            del queues[topic]
    batches: list[list[Stored]] = []
    while mixed:
        many = dice.randint(1, 40)
        batches.append(mixed[:many])
        mixed = mixed[many:]
    return batches


@pytest.mark.parametrize("seed", range(12))
async def test_delay_repetition_and_batching_change_nothing(speaker: Toy, hearer: Toy, seed: int) -> None:
    leads = [uuid7() for _ in range(10)]
    for _ in range(3):
        await speak(speaker, leads)
    await speak(speaker, leads[:3])
    for batch in as_some_carrier_brings_it(await said(speaker), random.Random(seed)):
        await hearer.consumer.take(batch)
    async with hearer.database.connection() as connection:
        effects = await connection.fetch(
            "SELECT lead_id, topic, array_agg(seq ORDER BY number) AS seqs FROM scoring.effect GROUP BY 1, 2"
        )
        stages = await connection.fetch("SELECT lead_id, stage, stage_seq FROM scoring.standing")
        held = await connection.fetchval("SELECT count(*) FROM scoring.held")
    wanted = {(lead, "leads.activity"): [1, 2, 3, 4] if lead in leads[:3] else [1, 2, 3] for lead in leads}
    wanted |= {(lead, "leads.stage"): [1, 2] for lead in leads}
    assert {(r["lead_id"], r["topic"]): r["seqs"] for r in effects if r["topic"] != "leads.card"} == wanted
    assert {(r["stage"], r["stage_seq"]) for r in stages} == {("registered", 2)}
    assert held == 0


async def test_bytes_that_are_no_event_are_kept_once_with_their_place_and_others_flow(
    speaker: Toy, hearer: Toy
) -> None:
    lead, other = uuid7(), uuid7()
    await speak(speaker, [lead, other])
    events = await said(speaker)
    for number, event in enumerate(events):
        if event.lead_id == lead and event.topic == "leads.activity":
            events[number] = Stored(**{**_fields(event), "body": '{"activity": 7}'})
    await hearer.consumer.take(events)
    await hearer.consumer.take(events)
    async with hearer.database.connection() as connection:
        kept = await connection.fetch("SELECT topic, reason FROM scoring.undecodable")
        heard = await connection.fetch("SELECT DISTINCT lead_id FROM scoring.effect WHERE topic = 'leads.activity'")
    assert [(row["topic"], "activity" in row["reason"]) for row in kept] == [("leads.activity", True)]
    assert [row["lead_id"] for row in heard] == [other]


async def test_an_unknown_version_of_an_event_is_kept_and_a_new_field_is_ignored(speaker: Toy, hearer: Toy) -> None:
    lead, other = uuid7(), uuid7()
    await speak(speaker, [lead, other])
    events = []
    for event in await said(speaker):
        fields = _fields(event)
        if event.topic == "leads.activity":
            if event.lead_id == lead:
                fields["type"] = "io.leadline.activity.recorded.v2"
            else:
                fields["body"] = '{"activity": "page_viewed", "invented_later": [1]}'
        events.append(Stored(**fields))
    await hearer.consumer.take(events)
    async with hearer.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM scoring.undecodable") == 1
        assert await connection.fetchval("SELECT word FROM scoring.effect WHERE topic = 'leads.activity'") == (
            "page_viewed"
        )


async def test_an_event_waits_for_the_card_its_speaker_had_seen(speaker: Toy, hearer: Toy) -> None:
    lead = uuid7()
    await speak(speaker, [lead])
    events = await said(speaker)
    await hearer.consumer.take([event for event in events if event.topic != "leads.card"])
    async with hearer.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM scoring.effect") == 0
        assert set(await reasons(connection)) == {"card", "gap"}
        await hearer.consumer.take([event for event in events if event.topic == "leads.card"])
        assert await connection.fetchval("SELECT count(*) FROM scoring.effect WHERE topic <> 'leads.card'") == 3
        assert await reasons(connection) == []


async def reasons(connection: asyncpg.Connection) -> list[str]:
    return [row["reason"] for row in await connection.fetch("SELECT reason FROM scoring.held")]


async def test_a_tombstone_reaches_a_lead_that_is_held(speaker: Toy, hearer: Toy) -> None:
    lead = uuid7()
    await speak(speaker, [lead], "unsaveable")
    await hearer.consumer.take(await said(speaker))
    async with hearer.database.connection() as connection:
        assert "failed" in await reasons(connection)
        await erase(speaker, lead)
        await hearer.consumer.take(await said(speaker))
        assert await reasons(connection) == []
        assert await connection.fetchval("SELECT erased FROM scoring.standing WHERE lead_id = $1", lead)
        assert (await connection.fetchval("SELECT count(*) FROM bus.scoring_log WHERE topic = 'leads.privacy'")) == 1


async def test_failed_events_without_a_number_are_all_kept_and_brought_again_at_a_word(
    speaker: Toy, hearer: Toy
) -> None:
    lead = uuid7()
    done = [ErasureDone(erasure_id="1", service=name) for name in ("nurture", "handover")]
    events = [_stored(lead, event) for event in done]
    heard: list[str] = []
    mended = False

    def note(_lead: object, event: Envelope[ErasureDone], _now: datetime) -> None:
        if not mended:
            raise ValueError(event.data.service)
        heard.append(event.data.service)

    consumer = Consumer(hearer.leads, {ErasureDone: note})
    await consumer.take(events)
    async with hearer.database.connection() as connection:
        assert sorted(await reasons(connection)) == ["behind", "failed"]
        mended = True
        await connection.execute("UPDATE scoring.held SET retry_at = $1", NOON)
        await consumer.retry_due()
        assert await reasons(connection) == []
    assert heard == ["nurture", "handover"]


async def test_who_decides_on_a_lead_at_the_same_moment_as_others_goes_by_what_they_left(speaker: Toy) -> None:
    leads = [uuid7() for _ in range(4)]
    await asyncio.gather(*(speak(speaker, leads) for _ in range(7)))
    numbers: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for event in await said(speaker):
        numbers[event.lead_id, event.topic].append(event.seq)
    for lead in leads:
        assert numbers[lead, "leads.stage"] == [1, 2], "it was captured and registered more than once"
        assert numbers[lead, "leads.activity"] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_timer_waits_until_all_recorded_before_it_is_heard(speaker: Toy, hearer: Toy) -> None:
    clock = hearer.clock
    assert isinstance(clock, SetClock)
    lead = uuid7()
    async with hearer.leads.work([lead], create=True) as work:
        work.lead(lead).timers["ring"] = NOON + timedelta(hours=1)
    clock.set(NOON + timedelta(hours=2))
    assert await hearer.timers.fire() == 0  # nothing is known yet of how far has been heard
    hearer.progress.all_heard(NOON + timedelta(minutes=30))
    assert await hearer.timers.fire() == 0  # an event of 12:40 may still come
    hearer.progress.all_heard(NOON + timedelta(hours=2))
    assert await hearer.timers.fire() == 1
    assert await hearer.timers.fire() == 0
    async with hearer.database.connection() as connection:
        rung = await connection.fetch("SELECT word FROM scoring.effect WHERE topic = 'timer'")
    assert [row["word"] for row in rung] == ["rang 2026-03-02T13:00:00+00:00"]


async def test_a_timer_does_not_go_off_early_because_the_clock_was_an_hour_ahead_for_a_while(
    speaker: Toy, hearer: Toy
) -> None:
    clock = hearer.clock
    assert isinstance(clock, SetClock)
    lead = uuid7()
    async with hearer.leads.work([lead], create=True) as work:
        work.lead(lead).timers["ring"] = NOON + timedelta(minutes=30)
    hearer.progress.all_heard(clock.now() + timedelta(hours=1))
    hearer.progress.all_heard(clock.now())
    assert await hearer.timers.fire() == 0
    hearer.progress.all_heard(clock.advance(timedelta(minutes=31)))
    assert await hearer.timers.fire() == 1


def _stored(lead_id: UUID, data: Event) -> Stored:
    attributes = Attributes(source="/leadline/test", time=NOON, recordedtime=NOON)
    return Stored(
        ("test", 0, 1), uuid7(), data.topic, lead_id, 0, data.type, encode_attributes(attributes), encode_body(data)
    )


def _fields(event: Stored) -> dict[str, object]:
    return {name: getattr(event, name) for name in Stored.__slots__}
