"""POST /v1/activities: what leads and visitors did, up to a thousand facts a call, which are taken together."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.capture.access import Sender, sender_of
from services.capture.bodies import read_activities, read_activity
from services.capture.domain import cleaning
from services.capture.domain.submission import Visit
from services.capture.parsing import Context, understand_activity
from services.capture.recording import Call, Fact, recorder_of
from services.capture.repeatable import Key
from services.capture.room import Room, room_of
from shared.clock import uuid7
from shared.errors import Malformed
from shared.keys import Scope
from shared.security import opened_by
from shared.trace import traceparent


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
        answer = await recorder_of(room.runtime).take(call)
    return Response(answer, 202, media_type="application/json")


def _read(room: Room, items: Sequence[msgspec.Raw], sender: Sender, key: Key | None, raw: bytes) -> Call:
    context = Context(
        submission_id=uuid7(),
        now=room.runtime.clock.now(),
        site=sender.site_name,
        currency=room.settings.currency,
        trusted=sender.trusted,
        types=room.activity_types,
    )
    facts: list[Fact] = []
    rejected: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        try:
            facts.append(_fact(index, item, context))
        except Malformed as refusal:
            rejected.append((index, "; ".join(f"{where} {why}".strip() for where, why in refusal.problems)))
    return Call(
        facts,
        rejected,
        key,
        hmac.digest(room.secret, raw, "sha256") if key else b"",
        sender.trusted,
        sender.site.policy if sender.site else "contact_valid",
        traceparent(),
    )


def _fact(index: int, raw: msgspec.Raw, context: Context) -> Fact:
    item = read_activity(raw)
    activity, touch = understand_activity(item, context)
    visitor = (context.site, cleaning.one_line(item.visitor_id)) if item.visitor_id else None
    return Fact(index, Visit(uuid7(), activity, touch), item.history, item.lead_id, visitor)
