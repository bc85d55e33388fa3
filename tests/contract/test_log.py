"""The log as a queue: what was committed is read, each once, in order, whatever happens to writers and server."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from deploy.postgres import EmbeddedPostgres
from shared import log
from shared.clock import EPOCH, uuid7
from shared.database import is_transient
from tests.support.forked import Forked, fork
from tests.support.toys import make_tables

WRITERS = 6
# It ends when enough has been killed, and not before the first of these.
SECONDS = (9, 40)


async def _read_all(dsn: str, after: dict[int, int], read: list[tuple[UUID, UUID, int]]) -> None:
    """Read on from the positions in `after`, which move with what is read, until a read finds nothing."""
    connection = await asyncpg.connect(dsn, timeout=3)
    try:
        while True:
            found = await log.read(connection, "capture", after, EPOCH, per_lane=40)
            for event in found:
                read.append((event.event_id, event.lead_id, event.seq))
                after[event.place[1]] = event.place[2]
            if not found:
                return
    finally:
        await connection.close()


def _postmaster(data_dir: Path) -> int:
    return int(next(data_dir.rglob("postmaster.pid")).read_text().split()[0])


@pytest.mark.timeout(120)
async def test_nothing_is_lost_doubled_or_swapped_while_writers_and_server_are_killed(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    dsn = postgres.start()
    dice = random.Random(20261122)
    leads = [uuid7() for _ in range(300)]
    writers: dict[int, Forked] = {}
    journals = [tmp_path / f"journal-{number}" for number in range(WRITERS)]

    def start(number: int) -> None:
        given = (str(journals[number]), str(dice.randrange(10**6)), *map(str, leads))
        writers[number] = fork("tests.support.log_writer", *given, env=os.environ | {"TOY_DSN": dsn})

    read: list[tuple[UUID, UUID, int]] = []
    after = dict.fromkeys(log.ALL_LANES, 0)
    killed = restarted = 0
    try:
        await make_tables(dsn)
        for number in range(WRITERS):
            start(number)
        began = time.monotonic()
        while (lasted := time.monotonic() - began) < SECONDS[killed < 12 or restarted < 2]:
            await asyncio.sleep(dice.random() * 0.3)
            try:
                await _read_all(dsn, after, read)
            except Exception as error:
                if not is_transient(error):
                    raise
            number = dice.randrange(WRITERS)
            if lasted > 3 and dice.random() < 0.5:
                writers[number].kill()
                writers[number].wait()
                killed += 1
                start(number)
            if killed >= 5 * (restarted + 1) and restarted < 2:
                os.kill(_postmaster(postgres.data_dir), signal.SIGKILL)
                restarted += 1
                postgres.start()
        for writer in writers.values():
            writer.kill()
            writer.wait()
        await _read_all(dsn, after, read)
        connection = await asyncpg.connect(dsn)
        written = await connection.fetchval("SELECT count(*) FROM bus.capture_log")
        await connection.close()
    finally:
        for writer in writers.values():
            writer.kill()
        postgres.stop()

    acknowledged = {UUID(line) for journal in journals for line in journal.read_text().split()}
    seqs: dict[UUID, list[int]] = defaultdict(list)
    for _event_id, lead_id, seq in read:
        seqs[lead_id].append(seq)
    assert killed >= 10
    assert restarted == 2
    assert len(read) == written > 2000
    assert len({event_id for event_id, _, _ in read}) == len(read)
    assert acknowledged <= {event_id for event_id, _, _ in read}
    assert all(found == list(range(1, len(found) + 1)) for found in seqs.values())


async def test_a_reader_by_position_would_lose_events_without_the_lane_lock(toy_dsn: str) -> None:
    """The reason for the lock: two writers, the first to take a position the last to commit."""
    lead = uuid7()
    first, second, reader = [await asyncpg.connect(toy_dsn) for _ in range(3)]
    insert = """INSERT INTO bus.capture_log
        SELECT $1, 'leads.activity', $3, nextval('bus.capture_pos'), $2, $4, 't', '{}', ''"""
    lane = lead.bytes[-1] % 64
    try:
        slow = first.transaction()
        await slow.start()
        await first.execute(insert, uuid7(), lead, lane, 1)
        await second.execute(insert, uuid7(), uuid7(), lane, 1)
        seen = await log.read(reader, "capture", {lane: 0}, EPOCH, per_lane=40)
        await slow.commit()
        later = await log.read(reader, "capture", {lane: seen[-1].place[2]}, EPOCH, per_lane=40)
        assert (len(seen), len(later)) == (1, 0)
    finally:
        for connection in (first, second, reader):
            await connection.close()
