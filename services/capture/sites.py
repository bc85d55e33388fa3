"""The sites that may post: their publishable keys, the origins of their pages, and what a lead of theirs must prove."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from services.capture.domain.registration import Policy

if TYPE_CHECKING:
    from shared.database import Connection, Database

FRESH_SECONDS = 5.0
"""A change of a site is known in every process after this long."""
_UNKNOWN_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0

DEMO_KEYS = {"pk_demo": False, "pk_test_demo": True}
"""The keys of the demo, and whether their leads are tests."""
DEMO_ORIGINS = tuple(f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1"))

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:(\d{1,5}|\*))?|https?://\[[0-9a-f:]+\](:(\d{1,5}|\*))?")
"""As browsers write it: lower case, no slash at the end. `:*` stands for any port or none."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One publishable key. Several keys may be of one site, so that a key can be changed without a gap."""

    key: str
    name: str
    origins: tuple[str, ...] = ()
    policy: Policy = "contact_valid"
    test: bool = False
    product: str = ""
    region: str = ""


class Origins(Collection[str]):
    """A set of origins in which some stand for any port."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def __contains__(self, origin: object) -> bool:
        if origin in self._origins:
            return True
        without_port = re.sub(r":\d+$", "", origin) if isinstance(origin, str) else ""
        return bool(without_port) and f"{without_port}:*" in self._origins

    def __iter__(self) -> Iterator[str]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)


class Sites:
    """All sites by key, kept in memory: they are few, and every request asks for one.

    The keys of the demo, which stay in a database that was tried out with, count only where the `demo` is wanted.
    """

    def __init__(self, database: Database, *, demo: bool) -> None:
        self._database = database
        self._demo = demo
        self._by_key: dict[str, Site] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: str) -> Site | None:
        """The site of a key. One that is known is answered at once, and looked up anew for the next request."""
        age = time.monotonic() - self._read_at
        known = self._by_key.get(key)
        if known is not None and age > FRESH_SECONDS and self._read_at > float("-inf"):
            self._begin_reading()
        elif age > (FRESH_SECONDS if known else _UNKNOWN_SECONDS):
            await asyncio.shield(self._begin_reading())
        return self._by_key.get(key)

    async def named(self, name: str, *, test: bool = False) -> Site | None:
        """A site by its name, or by a key of it."""
        found = await self.get(name)
        return found or next((s for s in self._by_key.values() if s.name == name and s.test == test), None)

    async def origins(self, key: str | None) -> Collection[str]:
        if key is None:
            await self.get("")
            return Origins(origin for site in self._by_key.values() for origin in site.origins)
        site = await self.get(key)
        return Origins(site.origins) if site else ()

    def forget(self) -> None:
        """Read the table again before the next answer."""
        self._read_at = float("-inf")

    def _begin_reading(self) -> asyncio.Task[None]:
        """One reading at a time, shared by all who wait for it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(_look_away)
        return self._reading

    async def _read(self) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS), self._database.connection() as connection:
            sites = await load(connection)
        self._by_key = {site.key: site for site in sites if self._demo or site.key not in DEMO_KEYS}
        self._read_at = time.monotonic()


def _look_away(reading: asyncio.Task[None]) -> None:
    """A reading nobody waited for may fail: what was known last is good enough while the database is away."""
    if not reading.cancelled():
        reading.exception()


async def load(connection: Connection) -> Sequence[Site]:
    rows = await connection.fetch("SELECT * FROM capture.site ORDER BY name, key")
    return [_site(row) for row in rows]


async def keep(connection: Connection, site: Site, now: datetime) -> None:
    """Make a key, or say anew what it stands for."""
    await connection.execute(
        """INSERT INTO capture.site (key, name, origins, policy, test, product, region, changed_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (key) DO UPDATE SET name = excluded.name, origins = excluded.origins, policy = excluded.policy,
               test = excluded.test, product = excluded.product, region = excluded.region,
               changed_at = excluded.changed_at""",
        site.key, site.name, list(site.origins), site.policy, site.test, site.product, site.region, now,
    )  # fmt: skip


async def remove(connection: Connection, key: str) -> bool:
    return await connection.execute("DELETE FROM capture.site WHERE key = $1", key) != "DELETE 0"


async def seed_demo(connection: Connection, now: datetime) -> None:
    """The site `demo`, unless somebody has made or changed it already."""
    for key, test in DEMO_KEYS.items():
        known = await connection.fetchval("SELECT true FROM capture.site WHERE key = $1", key)
        if not known:
            await keep(connection, Site(key=key, name="demo", origins=DEMO_ORIGINS, test=test), now)


def _site(row: asyncpg.Record) -> Site:
    return Site(
        key=row["key"],
        name=row["name"],
        origins=tuple(row["origins"]),
        policy=row["policy"],
        test=row["test"],
        product=row["product"],
        region=row["region"],
    )
