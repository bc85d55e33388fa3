"""POST /v1/activities: what leads and visitors did, up to a thousand facts a call, in one transaction."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
from collections.abc import Sequence
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.capture import repeatable, visitors
from services.capture.acceptance import InFlight, KeyReused
from services.capture.access import Sender, sender_of
from services.capture.bodies import read_activities, read_activity
from services.capture.domain import cleaning
from services.capture.domain.submission import Visit
from services.capture.handlers import record_activity
from services.capture.parsing import Context, understand_activity
from services.capture.repeatable import Key
from services.capture.repository import Record
from services.capture.room import Room, room_of
from services.capture.visitors import Visitor
from shared.clock import uuid7
from shared.errors import Malformed
from shared.events.envelope import Actor
from shared.keys import Scope
from shared.leads import Cause, Leads, Work
from shared.security import opened_by
from shared.trace import traceparent


class Answer(msgspec.Struct, frozen=True):
    """How many were taken, and which were not and why."""

    accepted: int
    rejected: list[dict[str, int | str]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Fact:
    """An activity that can be read, and its place in the call."""

    index: int
    visit: Visit
    history: bool
    lead_id: UUID | None
    visitor: Visitor | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Call:
    facts: Sequence[_Fact]
    rejected: list[tuple[int, str]]
    key: Key | None
    body_hash: bytes
    sender: Sender
    policy: str


@opened_by("site key", Scope.post)
async def post_activities(request: Request) -> Response:
    """202 with what was taken, once it is durable."""
    room = room_of(request)
    raw = await request.body()
    body = read_activities(raw)
    sender = await sender_of(request, room.sites, body.site)
    key = Key.given(sender.holder, request.headers.get("idempotency-key"))
    call = _read(room, body.activities, sender, key, raw)
    async with asyncio.timeout(room.settings.deadline_seconds):
        try:
            answer = await _take(room.runtime.leads, call)
        except repeatable.Outrun:
            answer = await _take(room.runtime.leads, call)
    return Response(answer, 202, media_type="application/json")


def _read(room: Room, items: Sequence[msgspec.Raw], sender: Sender, key: Key | None, raw: bytes) -> _Call:
    context = Context(
        submission_id=uuid7(),
        now=room.runtime.clock.now(),
        site=sender.site_name,
        currency=room.settings.currency,
        trusted=sender.trusted,
        types=room.activity_types,
    )
    facts: list[_Fact] = []
    rejected: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        try:
            facts.append(_fact(index, item, context))
        except Malformed as refusal:
            rejected.append((index, "; ".join(f"{where} {why}".strip() for where, why in refusal.problems)))
    return _Call(
        facts,
        rejected,
        key,
        hmac.digest(room.secret, raw, "sha256") if key else b"",
        sender,
        sender.site.policy if sender.site else "contact_valid",
    )


def _fact(index: int, raw: msgspec.Raw, context: Context) -> _Fact:
    item = read_activity(raw)
    activity, touch = understand_activity(item, context)
    visitor = (context.site, cleaning.one_line(item.visitor_id)) if item.visitor_id else None
    return _Fact(index, Visit(uuid7(), activity, touch), item.history, item.lead_id, visitor)


async def _take(leads: Leads[Record], call: _Call) -> bytes:
    async with leads.database.transaction() as connection:
        now = leads.clock.now()
        if call.key:
            ours, before = (await repeatable.claim(connection, [call.key], now))[0]
            if before is not None and before.body_hash != call.body_hash:
                raise KeyReused
            if before is not None:
                return before.answer.encode()
            if not ours:
                raise InFlight
        known = await visitors.who(connection, sorted({fact.visitor for fact in call.facts if fact.visitor}), now)
        whose = [fact.lead_id or (known.get(fact.visitor) if fact.visitor else None) for fact in call.facts]
        work = await leads.open(connection, [lead for lead in whose if lead], Cause(time=now), now, create=False)
        rejected = [*call.rejected, *_record(work, call, whose)]
        nobodys = [(f.visitor, f.visit) for f, lead in zip(call.facts, whose, strict=True) if f.visitor and not lead]
        await visitors.keep(connection, nobodys)
        answer = _answer(len(call.facts) + len(call.rejected), rejected)
        if call.key:
            await repeatable.keep(connection, [(call.key, call.body_hash, answer.decode())], now)
        await leads.save(work)
        return answer


def _record(work: Work[Record], call: _Call, whose: Sequence[UUID | None]) -> list[tuple[int, str]]:
    """Record what known leads did, in the order of the call; answers what cannot be."""
    rejected: list[tuple[int, str]] = []
    trace = traceparent()
    for fact, lead_id in zip(call.facts, whose, strict=True):
        if lead_id is None:
            continue
        lead = work.leads.get(lead_id)
        if lead is None or lead.standing.erased or lead.state.card is None:
            rejected.append((fact.index, "no such lead"))
            continue
        actor = Actor("person" if call.sender.trusted else "lead")
        cause = Cause(fact.visit.activity.at, fact.history, trace, str(fact.visit.activity_id), actor)
        lead.begin(cause, work.now)
        record_activity(lead, fact.visit, call.policy)
    return rejected


def _answer(count: int, rejected: Sequence[tuple[int, str]]) -> bytes:
    reasons: list[dict[str, int | str]] = [{"index": index, "reason": why} for index, why in sorted(rejected)]
    return msgspec.json.encode(Answer(count - len(rejected), reasons))
