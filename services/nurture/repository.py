"""How nurture's part of a lead is loaded and kept: a fixed number of statements for any number of leads."""

from __future__ import annotations

import hmac
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.nurture.domain.blinding import fingerprint
from services.nurture.domain.journey import Delivery, Enrolment
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Consent, Person, Suppression
from services.nurture.domain.touch import State, Touch
from shared.events.topics import lane_of
from shared.leads import Lead

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

# What is done is never loaded to be changed, and never changed.
_DONE = "('sent', 'failed', 'unknown')"


@dataclass
class Repository:
    """`equip` it before use: fingerprints and Message-IDs need the installation's secret."""

    secret: bytes = b""
    domain: str = ""
    kept_mails: Path | None = None

    def equip(self, secret: bytes, domain: str, kept_mails: Path) -> None:
        self.secret, self.domain, self.kept_mails = secret, domain, kept_mails

    def blinded(self, email: str) -> str:
        """The address as suppressions know it; empty for none."""
        return fingerprint(email, self.secret) if email else ""

    def message_id(self, lead_id: UUID, touch: Touch) -> str:
        """One touch has one Message-ID, whoever sends it and however often."""
        what = f"leadline message {lead_id}/{touch.cycle}/{touch.journey}/{touch.step}"
        return f"{hmac.digest(self.secret, what.encode(), 'sha256').hex()[:40]}@{self.domain}"

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Nurtured]:
        leads = {lead_id: Nurtured() for lead_id in lead_ids}
        for row in await connection.fetch("SELECT * FROM nurture.person WHERE lead_id = ANY($1)", lead_ids):
            lead = leads[row["lead_id"]]
            lead.person, lead.temperature, lead.score = _person(row), row["temperature"], row["score"]
        for row in await connection.fetch("SELECT * FROM nurture.enrolment WHERE lead_id = ANY($1)", lead_ids):
            leads[row["lead_id"]].enrolments[row["cycle"], row["journey"]] = _enrolment(row)
        # Locked, so that no sender claims what is being decided on; one that just did is waited for and seen.
        touches = await connection.fetch(
            f"""SELECT *, coalesce(claimed_until < clock_timestamp(), false) AS lapsed FROM nurture.touch
                WHERE lead_id = ANY($1) AND state NOT IN {_DONE} ORDER BY touch_id FOR UPDATE""",
            lead_ids,
        )
        for row in touches:
            leads[row["lead_id"]].touches[row["cycle"], row["journey"], row["step"]] = touch_of(row)
        suppressions = await connection.fetch(
            """SELECT p.lead_id, x.* FROM nurture.person p JOIN nurture.suppression x USING (fingerprint)
               WHERE p.lead_id = ANY($1)""",
            lead_ids,
        )
        for row in suppressions:
            leads[row["lead_id"]].suppressions[row["purpose"]] = Suppression(row["since"], row["reason"])
        return leads

    async def save(self, connection: Connection, leads: Sequence[Lead[Nurtured]]) -> None:
        await self._save_persons(connection, [lead for lead in leads if lead.state.changed.person])
        await self._save_enrolments(connection, leads)
        await self._save_touches(connection, leads)
        suppressed = [
            (self.blinded(lead.state.person.email), purpose, lead.state.suppressions[purpose])
            for lead in leads
            for purpose in lead.state.changed.suppressions
            if lead.state.person.email
        ]
        await suppress(connection, suppressed)

    async def _save_persons(self, connection: Connection, leads: Sequence[Lead[Nurtured]]) -> None:
        if not leads:
            return
        persons = [lead.state.person for lead in leads]
        await connection.execute(
            """INSERT INTO nurture.person (lead_id, email, fingerprint, name, language, consents, temperature, score)
               SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[],
                   $7::text[], $8::float8[])
               ON CONFLICT (lead_id) DO UPDATE SET email = excluded.email, fingerprint = excluded.fingerprint,
                   name = excluded.name, language = excluded.language, consents = excluded.consents,
                   temperature = excluded.temperature, score = excluded.score""",
            [lead.lead_id for lead in leads],
            [person.email for person in persons],
            [self.blinded(person.email) for person in persons],
            [person.name for person in persons],
            [person.language for person in persons],
            [_said(person.consents) for person in persons],
            [lead.state.temperature for lead in leads],
            [lead.state.score for lead in leads],
        )

    async def _save_enrolments(self, connection: Connection, leads: Sequence[Lead[Nurtured]]) -> None:
        changed = [(lead, key) for lead in leads for key in sorted(lead.state.changed.enrolments)]
        gone = [(lead.lead_id, *key) for lead, key in changed if key not in lead.state.enrolments]
        if gone:
            await connection.execute(
                """DELETE FROM nurture.enrolment e
                   USING unnest($1::uuid[], $2::int[], $3::text[]) AS g(lead_id, cycle, journey)
                   WHERE (e.lead_id, e.cycle, e.journey) = (g.lead_id, g.cycle, g.journey)""",
                *(list(column) for column in zip(*gone, strict=True)),
            )
        rows = [(lead.lead_id, lead.state.enrolments[key]) for lead, key in changed if key in lead.state.enrolments]
        if not rows:
            return
        await connection.execute(
            """INSERT INTO nurture.enrolment
                   (lead_id, cycle, journey, version, step, trace, entered_at, waits_until, ended_at, ended_because)
               SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::text[],
                   $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::text[])
               ON CONFLICT (lead_id, cycle, journey) DO UPDATE SET version = excluded.version, step = excluded.step,
                   entered_at = excluded.entered_at, waits_until = excluded.waits_until, ended_at = excluded.ended_at,
                   ended_because = excluded.ended_because""",
            [lead_id for lead_id, _ in rows],
            [one.cycle for _, one in rows],
            [one.journey for _, one in rows],
            [one.version for _, one in rows],
            [one.step for _, one in rows],
            [one.trace for _, one in rows],
            [one.entered_at for _, one in rows],
            [one.waits_until for _, one in rows],
            [one.ended_at for _, one in rows],
            [one.ended_because for _, one in rows],
        )

    async def _save_touches(self, connection: Connection, leads: Sequence[Lead[Nurtured]]) -> None:
        rows = [(lead.lead_id, lead.state.touches[key]) for lead in leads for key in sorted(lead.state.changed.touches)]
        if not rows:
            return
        await connection.execute(
            f"""INSERT INTO nurture.touch AS kept (touch_id, lead_id, cycle, journey, step, channel, lane, purpose,
                   delivery, state, due_at, at, attempts, message_id, reason, trace)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[],
                   $7::smallint[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
                   $13::int[], $14::text[], $15::text[], $16::text[])
               ON CONFLICT (lead_id, cycle, journey, step) DO UPDATE SET state = excluded.state,
                   due_at = excluded.due_at, at = excluded.at, delivery = excluded.delivery, reason = excluded.reason,
                   trace = excluded.trace
               WHERE kept.state NOT IN {_DONE}""",
            [touch.touch_id for _, touch in rows],
            [lead_id for lead_id, _ in rows],
            [touch.cycle for _, touch in rows],
            [touch.journey for _, touch in rows],
            [touch.step for _, touch in rows],
            [touch.channel for _, touch in rows],
            [lane_of(lead_id) for lead_id, _ in rows],
            [touch.purpose for _, touch in rows],
            [touch.delivery for _, touch in rows],
            [touch.state for _, touch in rows],
            [touch.due_at for _, touch in rows],
            [touch.at for _, touch in rows],
            [touch.attempts for _, touch in rows],
            [self.message_id(lead_id, touch) for lead_id, touch in rows],
            [touch.reason for _, touch in rows],
            [touch.trace for _, touch in rows],
        )

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        """Everything but the suppressions, which hold no address and must outlive the person's data."""
        removed: dict[UUID, Counter[str]] = defaultdict(Counter)
        for table in ("person", "enrolment"):
            rows = await connection.fetch(
                f"DELETE FROM nurture.{table} WHERE lead_id = ANY($1) RETURNING lead_id", lead_ids
            )
            for row in rows:
                removed[row["lead_id"]][table] += 1
        rows = await connection.fetch(
            "DELETE FROM nurture.touch WHERE lead_id = ANY($1) RETURNING lead_id, message_id", lead_ids
        )
        for row in rows:
            removed[row["lead_id"]]["touch"] += 1
            removed[row["lead_id"]]["kept_mail"] += self.forget_mail(row["message_id"])
        return removed

    def kept_mail(self, message_id: str) -> str:
        """The text of a mail that was kept instead of sent; empty when there is none."""
        file = self.kept_mails / f"{message_id}.eml" if self.kept_mails else None
        return file.read_text(encoding="ascii") if file and file.exists() else ""

    def forget_mail(self, message_id: str) -> bool:
        """Remove the file of a mail that was kept instead of sent; answers whether there was one."""
        if self.kept_mails is None:
            return False
        file = self.kept_mails / f"{message_id}.eml"
        there = file.exists()
        file.unlink(missing_ok=True)
        return there


async def suppress(connection: Connection, suppressed: Sequence[tuple[str, str, Suppression]]) -> None:
    """Write down (blinded address, purpose, suppression); the latest moment of an address counts."""
    # One row may be named twice, by two leads of one address: the later one alone is written.
    last = {(address, purpose): one for address, purpose, one in sorted(suppressed, key=lambda row: row[2].since)}
    if not last:
        return
    keys = sorted(last)
    await connection.execute(
        """INSERT INTO nurture.suppression AS known (fingerprint, purpose, since, reason)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
           ON CONFLICT (fingerprint, purpose) DO UPDATE SET since = excluded.since, reason = excluded.reason
           WHERE known.since <= excluded.since""",
        [address for address, _ in keys],
        [purpose for _, purpose in keys],
        [last[key].since for key in keys],
        [last[key].reason for key in keys],
    )


def touch_of(row: asyncpg.Record) -> Touch:
    return Touch(
        touch_id=row["touch_id"],
        cycle=row["cycle"],
        journey=row["journey"],
        step=row["step"],
        purpose=row["purpose"],
        due_at=row["due_at"],
        at=row["at"],
        delivery=Delivery(row["delivery"]),
        channel=row["channel"],
        state=State(row["state"]),
        attempts=row["attempts"],
        reason=row["reason"],
        trace=row["trace"],
        lapsed=row["lapsed"],
    )


def _person(row: asyncpg.Record) -> Person:
    consents: dict[str, Any] = row["consents"]
    return Person(
        email=row["email"],
        name=row["name"],
        language=row["language"],
        consents={
            purpose: Consent(said["granted"], datetime.fromisoformat(said["at"])) for purpose, said in consents.items()
        },
    )


def _said(consents: Mapping[str, Consent]) -> dict[str, dict[str, object]]:
    return {purpose: {"granted": one.granted, "at": one.at} for purpose, one in consents.items()}


def _enrolment(row: asyncpg.Record) -> Enrolment:
    return Enrolment(
        journey=row["journey"],
        version=row["version"],
        cycle=row["cycle"],
        step=row["step"],
        trace=row["trace"],
        entered_at=row["entered_at"],
        waits_until=row["waits_until"],
        ended_at=row["ended_at"],
        ended_because=row["ended_because"],
    )
