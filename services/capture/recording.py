"""Facts of several calls in one transaction: calls that come while others are being written share the next one."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec

from services.capture import repeatable, visitors
from services.capture.acceptance import InFlight, KeyReused
from services.capture.domain.submission import Visit
from services.capture.handlers import record_activity
from services.capture.repeatable import Claim, Key, Outrun
from services.capture.repository import Record
from services.capture.visitors import Visitor
from shared.database import is_transient
from shared.events.envelope import Actor
from shared.leads import Cause, Leads, Work

if TYPE_CHECKING:
    from shared.database import Connection
    from shared.service import Runtime

# As many as one call may have; transactions stay about as long as they are with it.
MOST_TOGETHER = 1000
# One commits while the next is being filled, and one that waits for a lead does not hold up everybody.
WRITERS = 2
_LOST_A_RACE = (asyncpg.TransactionRollbackError, Outrun)


class Answer(msgspec.Struct, frozen=True):
    """How many were taken, and which were not and why."""

    accepted: int
    rejected: list[dict[str, int | str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """An activity that can be read, and its place in the call."""

    index: int
    visit: Visit
    history: bool
    lead_id: UUID | None
    visitor: Visitor | None


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """`rejected`: places and why. `trusted`: it came with the operator's key, or one for posting."""

    facts: Sequence[Fact]
    rejected: Sequence[tuple[int, str]]
    key: Key | None
    body_hash: bytes
    trusted: bool
    policy: str
    trace: str


Verdict = bytes | InFlight | KeyReused
"""The body of the answer, or why there is none."""


@dataclasses.dataclass(slots=True, eq=False)
class _Waiting:
    call: Call
    answer: asyncio.Future[bytes]


class Recorder:
    """The way in for what leads and visitors did."""

    def __init__(self, leads: Leads[Record]) -> None:
        self._leads = leads
        self._queue: deque[_Waiting] = deque()
        self._writers: set[asyncio.Task[None]] = set()

    async def take(self, call: Call) -> bytes:
        """The answer to a call, once it is durable. Raises `KeyReused`, `InFlight`, and what the database says."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, loop.create_future())
        self._queue.append(waiting)
        if len(self._writers) < WRITERS:
            writer = loop.create_task(self._write_all())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return await waiting.answer

    async def _write_all(self) -> None:
        while batch := self._next():
            await self._write(batch)

    def _next(self) -> list[_Waiting]:
        """Those that have waited longest, as long as their keys differ; a call is never divided."""
        batch: list[_Waiting] = []
        room, keys = MOST_TOGETHER, set[Key]()
        while self._queue:
            waiting = self._queue[0]
            key = waiting.call.key
            if batch and (len(waiting.call.facts) > room or key in keys):
                break
            self._queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
                room -= len(waiting.call.facts)
                keys |= {key} if key else set()
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Answer all of it. Where one call breaks the transaction, each has one of its own."""
        try:
            verdicts = await self._commit([waiting.call for waiting in batch])
        except Exception as error:
            if len(batch) > 1 and (not is_transient(error) or isinstance(error, _LOST_A_RACE)):
                for waiting in batch:
                    await self._write([waiting])
            else:
                for waiting in batch:
                    _settle(waiting.answer, error)
            return
        for waiting, verdict in zip(batch, verdicts, strict=True):
            _settle(waiting.answer, verdict)

    async def _commit(self, calls: Sequence[Call]) -> list[Verdict]:
        try:
            return await record(self._leads, calls)
        except Outrun:
            return await record(self._leads, calls)


def _settle(answer: asyncio.Future[bytes], verdict: bytes | Exception) -> None:
    if answer.done():
        return
    if isinstance(verdict, bytes):
        answer.set_result(verdict)
    else:
        answer.set_exception(verdict)


async def record(leads: Leads[Record], calls: Sequence[Call]) -> list[Verdict]:
    """One transaction; keys within `calls` differ from each other. Raises `Outrun`."""
    async with leads.database.transaction() as connection:
        now = leads.clock.now()
        repeated = await _repeated(connection, calls, now)
        fresh = [call for call, verdict in zip(calls, repeated, strict=True) if verdict is None]
        facts = [fact for call in fresh for fact in call.facts]
        known = await visitors.who(connection, sorted({fact.visitor for fact in facts if fact.visitor}), now)
        wanted = [lead_id for fact in facts if (lead_id := _whose(fact, known))]
        work = await leads.open(connection, wanted, Cause(time=now), now, create=False)
        answers = iter([_record(work, call, known) for call in fresh])
        verdicts = [next(answers) if verdict is None else verdict for verdict in repeated]
        nobodys = [(fact.visitor, fact.visit) for fact in facts if fact.visitor and not _whose(fact, known)]
        await visitors.keep(connection, nobodys)
        await _keep_answers(connection, calls, verdicts, repeated, now)
        await leads.save(work)
        return verdicts


async def _repeated(connection: Connection, calls: Sequence[Call], now: datetime) -> list[Verdict | None]:
    """The verdict on each call whose key was used before, or is in use elsewhere; None for what is to be recorded."""
    keys = [call.key for call in calls if call.key]
    claims = iter(await repeatable.claim(connection, keys, now))
    return [_verdict(call, next(claims)) if call.key else None for call in calls]


def _verdict(call: Call, claim: Claim) -> Verdict | None:
    if claim.kept is not None:
        return claim.kept.answer.encode() if claim.kept.body_hash == call.body_hash else KeyReused()
    return None if claim.ours else InFlight()


async def _keep_answers(
    connection: Connection,
    calls: Sequence[Call],
    verdicts: Sequence[Verdict],
    repeated: Sequence[Verdict | None],
    now: datetime,
) -> None:
    answers = [
        (call.key, call.body_hash, verdict.decode())
        for call, verdict, before in zip(calls, verdicts, repeated, strict=True)
        if call.key and before is None and isinstance(verdict, bytes)
    ]
    await repeatable.keep(connection, answers, now)


def _whose(fact: Fact, known: Mapping[Visitor, UUID]) -> UUID | None:
    return fact.lead_id or (known.get(fact.visitor) if fact.visitor else None)


def _record(work: Work[Record], call: Call, known: Mapping[Visitor, UUID]) -> bytes:
    """Record what known leads did, in the order of the call; answers what was taken and what cannot be."""
    rejected = list(call.rejected)
    actor = Actor("person" if call.trusted else "lead")
    for fact in call.facts:
        lead_id = _whose(fact, known)
        if lead_id is None:
            continue
        lead = work.leads.get(lead_id)
        if lead is None or lead.standing.erased or not lead.state.has_card:
            rejected.append((fact.index, "no such lead"))
            continue
        activity = fact.visit.activity
        lead.begin(Cause(activity.at, fact.history, call.trace, str(fact.visit.activity_id), actor), work.now)
        record_activity(lead, fact.visit, call.policy)
    reasons: list[dict[str, int | str]] = [{"index": index, "reason": why} for index, why in sorted(rejected)]
    return msgspec.json.encode(Answer(len(call.facts) + len(call.rejected) - len(rejected), reasons))


def recorder_of(runtime: Runtime[Any]) -> Recorder:
    if "recorder" not in runtime.attached:
        runtime.attached["recorder"] = Recorder(runtime.leads)
    recorder: Recorder = runtime.attached["recorder"]
    return recorder
