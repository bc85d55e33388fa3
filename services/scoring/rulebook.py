"""The versions of the rule set: the newest is live, all are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from services.scoring.domain.moments import EPOCH, moment
from services.scoring.domain.reading import read_rules
from services.scoring.domain.ruleset import RuleSet
from services.scoring.rules import shipped
from shared.errors import Refused

if TYPE_CHECKING:
    from shared.database import Connection

# The key of the advisory lock under which a new version is made.
_LOCK = 7795


@dataclass(frozen=True)
class LiveRules:
    """`body` is the set as data, with its version in it."""

    rules: RuleSet
    since: datetime
    body: dict[str, object]

    @property
    def since_moment(self) -> int:
        return moment(self.since)


class OutdatedRules(Refused):
    """These rules were made from a version that is no longer live."""

    title = "Not the live version"


class Rulebook:
    """The live rules, parsed once per version and process."""

    def __init__(self) -> None:
        self._parsed: dict[int, LiveRules] = {}

    async def live(self, connection: Connection) -> LiveRules:
        """The rules that apply. An installation that has none yet begins with those that are shipped."""
        version = await connection.fetchval("SELECT max(version) FROM scoring.rules")
        if version is None:
            body, _ = shipped()
            await self._insert(connection, 1, EPOCH, "shipped", cast("dict[str, object]", body))
            version = 1
        if version not in self._parsed:
            row = await connection.fetchrow("SELECT since, body FROM scoring.rules WHERE version = $1", version)
            assert row is not None
            body = json.loads(row["body"])
            self._parsed[version] = LiveRules(read_rules(body), row["since"], body)
        return self._parsed[version]

    async def publish(self, connection: Connection, body: dict[str, object], now: datetime, actor: str) -> LiveRules:
        """Make rules live, as a new version unless they are the live ones already.

        A `version` in the body names the version it was made from. Raises `BadRules` and `OutdatedRules`.
        """
        read_rules(body)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        live = await self.live(connection)
        based_on = body.get("version")
        if based_on is not None and based_on != live.rules.version:
            raise OutdatedRules(
                f"Version {live.rules.version} is live; these were made from version {based_on}.",
                live=live.rules.version,
            )
        if {**live.body, "version": 0} == {**body, "version": 0}:
            return live
        new = {**body, "version": live.rules.version + 1}
        await self._insert(connection, live.rules.version + 1, now, actor, new)
        return LiveRules(read_rules(new), now, new)

    async def _insert(
        self, connection: Connection, version: int, since: datetime, actor: str, body: dict[str, object]
    ) -> None:
        await connection.execute(
            """INSERT INTO scoring.rules (version, since, actor, body) VALUES ($1, $2, $3, $4)
               ON CONFLICT (version) DO NOTHING""",
            version, since, actor, json.dumps(body, ensure_ascii=False),
        )  # fmt: skip
