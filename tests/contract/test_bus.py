"""What both carriers promise, on each of them, with hearers as processes of their own."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from shared.clock import uuid7
from shared.events.topics import LANES, lane_of
from tests.support.line import Line, Verdict, verdict
from tests.support.toys import SPEAKER, erase, speak, toy


@asynccontextmanager
async def speaking(line: Line) -> AsyncIterator[Any]:
    speaker = toy(SPEAKER, line.dsn, line.bootstrap, line.prefix)
    async with speaker.running(("relay",)):
        await speaker.prepared.wait()
        yield speaker


async def test_every_event_has_its_effect_once_and_in_order_with_two_hearers(line: Line) -> None:
    leads = [uuid7() for _ in range(200)]
    for _ in range(2):
        line.start("hear")
    async with speaking(line) as speaker:
        for _ in range(5):
            await asyncio.gather(*(speak(speaker, leads[part::4]) for part in range(4)))
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=200 * 7)


async def test_what_is_brought_again_from_the_beginning_has_no_second_effect(line: Line) -> None:
    leads = [uuid7() for _ in range(50)]
    async with speaking(line) as speaker:
        first = line.start("hear")
        await speak(speaker, leads)
        await line.until_all_heard()
        await _until_position_is_noted(line)
        first.terminate()  # it leaves its group: killed, it would be a member for some seconds more
        await asyncio.to_thread(first.wait, 30)
        await _forget_position(line)
        line.start("hear")
        await speak(speaker, leads)
        await line.until_all_heard()
    assert await verdict(line) == Verdict(lost=0, doubled=0, disordered=0, effects=50 * 4)


@asynccontextmanager
async def _group(line: Line) -> AsyncIterator[tuple[AIOKafkaAdminClient, str]]:
    """The hearer's group on Kafka, without being a member."""
    admin = AIOKafkaAdminClient(bootstrap_servers=line.bootstrap)
    await admin.start()
    try:
        yield admin, f"{line.prefix}leadline-scoring"
    finally:
        await admin.close()


async def _until_position_is_noted(line: Line) -> None:
    """On Kafka a hearer notes it now and then, and need not have done so for what it has just heard."""
    if line.bootstrap is None:
        return
    async with _group(line) as (admin, group), asyncio.timeout(30):
        while not any(place.offset > 0 for place in (await admin.list_consumer_group_offsets(group)).values()):
            await asyncio.sleep(0.05)


async def _forget_position(line: Line) -> None:
    """On PostgreSQL it lies in the database; on Kafka the group is deleted, as when its offsets have expired.

    Kafka refuses it while the group has members.
    """
    if line.bootstrap is None:
        await line.fetch("UPDATE scoring.reading SET pos = 0 WHERE reader = 'hear'")
        return
    async with _group(line) as (admin, group):
        answer = await admin._send_request(DeleteGroupsRequest([group]), await admin.find_coordinator(group))
        assert answer.results == [(group, 0)]


async def test_a_lead_whose_event_fails_is_held_and_all_others_flow(line: Line) -> None:
    leads = [uuid7() for _ in range(20)]
    hearer = line.start("hear", TOY_BROKEN_WORDS="cursed")
    async with speaking(line) as speaker:
        await speak(speaker, leads[:2], "cursed")
        await speak(speaker, leads, "fine")
        # Topics have no order among each other: stage events may have come before the failure or wait behind it.
        waiting = "SELECT count(*) FROM scoring.held WHERE topic = 'leads.activity'"
        assert await line.until(waiting, 4) == 4
        assert await line.until("SELECT count(*) FROM scoring.effect WHERE word = 'fine'", 18) == 18
        reasons = await line.fetch(
            "SELECT reason FROM scoring.held WHERE topic = 'leads.activity' ORDER BY lead_id, seq"
        )
        assert [row["reason"] for row in reasons] == ["failed", "behind"] * 2
        hearer.kill()
        # The rule is mended: a new process, and somebody asks for another try.
        line.start("hear")
        await line.fetch("UPDATE scoring.held SET retry_at = now()")
        assert await line.until("SELECT count(*) FROM scoring.held", 0) == 0
        await line.until_all_heard()
    found = await verdict(line)
    assert (found.lost, found.doubled, found.disordered) == (0, 0, 0)


async def test_an_event_that_no_row_can_hold_stops_only_its_own_lead(line: Line) -> None:
    leads = [uuid7() for _ in range(30)]
    line.start("hear")
    async with speaking(line) as speaker:
        await speak(speaker, leads[3:5], "unsaveable")
        await speak(speaker, leads, "fine")
        assert await line.until("SELECT count(*) FROM scoring.effect WHERE word = 'fine'", 28) == 28
        assert await line.until("SELECT count(*) FROM scoring.held WHERE reason = 'failed'", 2) == 2


async def test_events_that_come_too_early_wait_for_those_before_them(line: Line) -> None:
    lead, other = uuid7(), uuid7()
    async with speaking(line) as speaker:
        await speak(speaker, [lead])
        # The second activity is taken out of the log before anybody reads it, and put back later.
        async with speaker.leads.work([lead]) as work:
            from shared.events.capture import ActivityRecorded

            missing = work.lead(lead).say(ActivityRecorded(activity="missing"))
            work.lead(lead).saying.clear()
        await speak(speaker, [lead, other], "early")
        line.start("hear")
        assert await line.until("SELECT count(*) FROM scoring.held WHERE reason = 'gap'", 1) == 1
        assert await line.until("SELECT count(*) FROM scoring.effect WHERE word = 'early'", 1) == 1
        from shared import log

        async with speaker.database.transaction() as connection:
            await log.append(connection, "capture", [missing])
        assert await line.until("SELECT count(*) FROM scoring.held", 0) == 0
    rows = await line.fetch(
        "SELECT word FROM scoring.effect WHERE lead_id = $1 AND topic = 'leads.activity' ORDER BY number", lead
    )
    assert [row["word"] for row in rows] == ["page_viewed", "missing", "early"]


async def test_an_erased_lead_is_forgotten_and_what_comes_later_has_no_effect(line: Line) -> None:
    lead, other = uuid7(), uuid7()
    line.start("hear")
    async with speaking(line) as speaker:
        await speak(speaker, [lead, other])
        await line.until_all_heard()
        await erase(speaker, lead)
        done = "SELECT count(*) FROM bus.scoring_log WHERE topic = 'leads.privacy'"
        assert await line.until(done, 1) == 1
        await speak_of_the_erased(speaker, lead)
        await speak(speaker, [other], "later")
        assert await line.until("SELECT count(*) FROM scoring.effect WHERE word = 'later'", 1) == 1
    assert await line.fetch("SELECT 1 FROM scoring.effect WHERE lead_id = $1", lead) == []
    assert await line.fetch("SELECT 1 FROM scoring.held") == []


async def speak_of_the_erased(speaker: Any, lead: Any) -> None:
    async with speaker.leads.work([lead]) as work:
        from shared.events.capture import ActivityRecorded

        work.lead(lead).say(ActivityRecorded(activity="late"))


@pytest.mark.timeout(240)
async def test_twenty_kills_over_three_thousand_leads_lose_double_and_swap_nothing(line: Line) -> None:
    found = await run_with_kills(line, leads=3000, kills=20, seed=20261122)
    assert (found.lost, found.doubled, found.disordered) == (0, 0, 0)
    assert found.effects == 3000 * 4


@pytest.mark.timeout(240)
async def test_a_hearer_that_moves_its_position_before_its_effect_is_found_out(line: Line) -> None:
    found = await run_with_kills(line, leads=600, kills=8, seed=7, mutant="position_first")
    assert found.lost > 0


async def _until_one_killed_itself(running: list[tuple[str, Any]], seconds: float = 30) -> None:
    """A hearer needs its share of the topics before it can die at the wrong moment."""
    for _ in range(int(seconds / 0.1)):
        if any(process.poll() is not None for role, process in running if role == "hear"):
            return
        await asyncio.sleep(0.1)


async def _pass_all_places(line: Line, speaker: Any) -> None:
    """Wait until a last word is heard in every lane: what was said before it was heard by then, or never will be."""
    last = dict[int, UUID]()
    while len(last) < LANES:
        lead = uuid7()
        last[lane_of(lead)] = lead
    await speak(speaker, list(last.values()), "last")
    heard = "SELECT count(*) FROM scoring.effect WHERE word IN ('last', 'stage')"
    await line.until(f"{heard} AND lead_id = ANY('{{{','.join(map(str, last.values()))}}}')", len(last) * 3, 60)


async def run_with_kills(line: Line, *, leads: int, kills: int, seed: int, mutant: str = "") -> Verdict:
    """Speak about `leads` while hearers, and on Kafka relays, are killed by time and at their own worst moments."""
    dice = random.Random(seed)
    ids = [uuid7() for _ in range(leads)]
    roles = ["hear", "hear"] + (["relay", "relay"] if line.bootstrap else [])

    def start(role: str) -> Any:
        mood = {"TOY_SEED": str(dice.random())[2:8], "TOY_CHANCE": "1" if mutant else "0.1"}
        if not mutant and dice.random() < 0.5:
            mood["TOY_KILL"] = "around_ack" if role == "relay" else dice.choice(["before_commit", "after_commit"])
        return line.start(role, TOY_MUTANT=mutant, **mood)

    running = [(role, start(role)) for role in roles]
    speaker = toy(SPEAKER, line.dsn, line.bootstrap, line.prefix)
    async with speaker.running(()):
        await speaker.prepared.wait()
        killed = 0
        batches = [ids[at : at + 50] for at in range(0, leads, 50)] * 2
        for number, batch in enumerate(batches):
            await speak(speaker, batch, "step")
            if mutant and not number:
                await _until_one_killed_itself(running)
            if number % max(1, len(batches) // kills) == 0 and killed < kills:
                place = dice.randrange(len(running))
                role, process = running[place]
                await asyncio.sleep(dice.random() * 0.6)
                process.send_signal(signal.SIGKILL)
                killed += 1
            running = [(role, start(role) if process.poll() is not None else process) for role, process in running]
        while killed < kills:
            role, process = running[0]
            process.kill()
            killed += 1
            running[0] = (role, start(role))
            await asyncio.sleep(0.3)
        line.stop()
        for role in roles:
            line.start(role, TOY_MUTANT=mutant, TOY_CHANCE="0")
        if mutant:
            await _pass_all_places(line, speaker)
        else:
            await line.until_all_heard()
    return await verdict(line)
