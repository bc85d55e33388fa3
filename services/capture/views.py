"""How often the forms and pages of a site were seen: counted in memory, added up by day, told once a minute."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from uuid import NAMESPACE_URL, uuid5

import asyncpg
import structlog
from starlette.requests import Request
from starlette.responses import Response

from services.capture.access import sender_of
from services.capture.bodies import read_view
from services.capture.parsing import view_of
from services.capture.room import Room, room_of
from shared import log
from shared.clock import uuid7
from shared.database import is_transient
from shared.events.capture import DayCounted
from shared.events.envelope import Attributes, Envelope, Event
from shared.keys import Scope
from shared.security import opened_by
from shared.service import Runtime

if TYPE_CHECKING:
    from datetime import datetime

    from shared.database import Connection

TELL_SECONDS = 60.0
MOST_COUNTED = 2_000
"""Different things counted between two tellings; whoever makes up more sources than that is not counted."""

logger = structlog.get_logger("views")


class Seen(NamedTuple):
    """One line of the count. `day` is the installation's."""

    site: str
    day: date
    what: str
    source: str
    conversion_point: str


class Views:
    """What was seen and not told yet. A crash loses a minute of it: these are figures, not leads."""

    def __init__(self) -> None:
        self._counts: Counter[Seen] = Counter()

    def count(self, seen: Seen) -> None:
        if seen in self._counts or len(self._counts) < MOST_COUNTED:
            self._counts[seen] += 1

    def take(self) -> Mapping[Seen, int]:
        taken, self._counts = self._counts, Counter[Seen]()
        return taken

    def give_back(self, counts: Mapping[Seen, int]) -> None:
        self._counts.update(counts)


def views_in(runtime: Runtime[Any]) -> Views:
    if "views" not in runtime.attached:
        runtime.attached["views"] = Views()
    return cast("Views", runtime.attached["views"])


@opened_by("site key", Scope.post)
async def post_view(request: Request) -> Response:
    """202: a form or a page of the site was seen. Nothing is kept of who saw it."""
    room = room_of(request)
    body = read_view(await request.body())
    sender = await sender_of(request, room.sites, body.site)
    if sender.site is not None and not sender.site.test:
        what, source, conversion_point = view_of(body)
        count(room, sender.site.name, what, source, conversion_point)
    return Response(b"{}", 202, media_type="application/json")


def count(room: Room, site: str, what: str, source: str, conversion_point: str) -> None:
    day = room.runtime.clock.now().astimezone(room.settings.timezone).date()
    views_in(room.runtime).count(Seen(site, day, what, source, conversion_point))


async def tell_views(runtime: Runtime[Any]) -> None:
    """Say the totals of the days that have changed, once a minute."""
    while True:
        await asyncio.sleep(TELL_SECONDS)
        await tell(runtime)


async def tell(runtime: Runtime[Any]) -> None:
    views = views_in(runtime)
    counts = views.take()
    if not counts:
        return
    try:
        async with runtime.database.transaction() as connection:
            totals = await _add(connection, counts)
            now = runtime.clock.now()
            said = [_told(row, now) for row in totals]
            await log.append(connection, "capture", said)
    except Exception as error:
        if not is_transient(error):
            raise
        logger.warning("views_wait", error=type(error).__name__)
        views.give_back(counts)


async def _add(connection: Connection, counts: Mapping[Seen, int]) -> Sequence[asyncpg.Record]:
    """The totals of the days these belong to; in order, so that no two processes wait for each other."""
    seen = sorted(counts)
    return await connection.fetch(
        """INSERT INTO capture.day_count AS d (site, day, what, source, conversion_point, count)
           SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[])
           ON CONFLICT (site, day, what, source, conversion_point) DO UPDATE SET count = d.count + excluded.count
           RETURNING *""",
        *(list(column) for column in zip(*seen, strict=True)), [counts[one] for one in seen],
    )  # fmt: skip


def _told(row: asyncpg.Record, now: datetime) -> Envelope[Event]:
    # The key of this topic is the site. Keys are ids, so a site has one that follows from its name.
    return Envelope(
        id=uuid7(),
        lead_id=uuid5(NAMESPACE_URL, f"leadline:site:{row['site']}"),
        seq=0,
        attributes=Attributes(source="/leadline/capture", time=now, recordedtime=now, site=row["site"]),
        data=DayCounted(
            day=row["day"].isoformat(),
            what=cast("Literal['visits', 'form_views', 'spend']", row["what"]),
            source=row["source"],
            conversion_point=row["conversion_point"],
            count=row["count"],
        ),
    )
