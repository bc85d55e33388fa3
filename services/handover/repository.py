"""How a lead's state is loaded and kept: a fixed number of statements, however many leads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.handover import feed
from services.handover.domain.lead import Card, Decision, Facts, Offer, OfferState, SalesLead, rank
from services.handover.wake import Wake
from shared.clock import uuid7
from shared.leads import Lead

if TYPE_CHECKING:
    import asyncpg

    from shared.database import Connection

# Longer without a sign of life, and nobody could answer an offer.
SILENT_SECONDS = 20

_COLUMNS: tuple[tuple[str, str, Callable[[Lead[SalesLead]], object]], ...] = (
    ("lead_id", "uuid", lambda lead: lead.lead_id),
    ("stage", "text", lambda lead: lead.standing.stage or ""),
    ("test", "bool", lambda lead: lead.standing.test),
    ("score", "float8", lambda lead: lead.state.score),
    ("temperature", "text", lambda lead: lead.state.temperature),
    ("rank", "smallint", lambda lead: rank(lead.state.temperature)),
    ("scored_at", "timestamptz", lambda lead: lead.state.scored_at),
    ("cycle", "int", lambda lead: lead.state.cycle),
    ("listed", "bool", lambda lead: lead.state.listed),
    ("since", "timestamptz", lambda lead: lead.state.since),
    ("reason", "text", lambda lead: lead.state.reason),
    ("asked_for", "text", lambda lead: lead.state.asked_for),
    ("asked_at", "timestamptz", lambda lead: lead.state.asked_at),
    ("cause_id", "text", lambda lead: lead.state.cause_id),
    ("trace", "text", lambda lead: lead.state.trace),
    ("attempts", "int", lambda lead: lead.state.attempts),
    ("waits_for", "text", lambda lead: lead.state.waits_for),
    ("owner", "uuid", lambda lead: lead.state.owner),
    ("offer_id", "uuid", lambda lead: lead.state.offer and lead.state.offer.offer_id),
    ("due_at", "timestamptz", lambda lead: lead.state.due_at),
    ("value", "text", lambda lead: lead.state.value),
    ("currency", "text", lambda lead: lead.state.currency),
    ("fulfilled_at", "timestamptz", lambda lead: lead.state.fulfilled_at),
    ("paid_at", "timestamptz", lambda lead: lead.state.paid_at),
    ("rest", "jsonb", lambda lead: _rest_of(lead.state)),
)
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)
_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, (_, kind, _) in enumerate(_COLUMNS, start=1))
_SETS = ", ".join(f"{name} = excluded.{name}" for name, _, _ in _COLUMNS[1:])

_LOAD = f"""
    SELECT l.*, c.version AS card_version, c.name, c.company, c.email, c.phone, c.language, c.message, c.answers,
        o.rep_id, o.cycle AS offer_cycle, o.attempt, o.offered_at, o.due_at AS offer_due_at, o.route, o.why, o.state,
        o.answered_at, o.ended_at, o.reason AS offer_reason,
        (SELECT clock_timestamp() - beat_at > interval '{SILENT_SECONDS} seconds' FROM handover.heartbeat) AS silent
    FROM handover.lead l
    LEFT JOIN handover.card c USING (lead_id)
    LEFT JOIN handover.offer o USING (offer_id)
    WHERE l.lead_id = ANY($1)"""


@dataclasses.dataclass(slots=True)
class _Rest:
    top_reasons: list[dict[str, object]] = dataclasses.field(default_factory=list[dict[str, object]])
    refused: list[UUID] = dataclasses.field(default_factory=list[UUID])
    decisions: dict[str, Decision] = dataclasses.field(default_factory=dict[str, Decision])
    facts: Facts = dataclasses.field(default_factory=Facts)


class SalesLeads:
    """`wake` is told of what the desk and the mailer should look at; `kept_mails` is where mails are kept as files."""

    def __init__(self) -> None:
        self.wake = Wake()
        self.kept_mails: Path | None = None
        self.sender_domain = ""

    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, SalesLead]:
        rows = {row["lead_id"]: row for row in await connection.fetch(_LOAD, lead_ids)}
        return {lead_id: _state(rows[lead_id]) if lead_id in rows else SalesLead() for lead_id in lead_ids}

    async def save(self, connection: Connection, leads: Sequence[Lead[SalesLead]]) -> None:
        """The feed comes last: its lock is held to the end of the transaction."""
        await self._save_leads(connection, leads)
        await _save_cards(connection, leads)
        await _save_offers(connection, leads)
        await feed.append(connection, [event for lead in leads for event in (*lead.state.heard, *lead.saying)])
        self.wake.look(leads)

    async def _save_leads(self, connection: Connection, leads: Sequence[Lead[SalesLead]]) -> None:
        rows = {lead.lead_id: tuple(value(lead) for _, _, value in _COLUMNS) for lead in leads}
        changed = [rows[lead.lead_id] for lead in leads if rows[lead.lead_id][1:] != lead.state.as_loaded]
        if changed:
            await connection.execute(
                f"""INSERT INTO handover.lead ({_NAMES}) SELECT * FROM unnest({_ARRAYS})
                    ON CONFLICT (lead_id) DO UPDATE SET {_SETS}""",
                *zip(*changed, strict=True),
            )

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        removed: dict[UUID, dict[str, int]] = {lead_id: {} for lead_id in lead_ids}
        offers = await connection.fetch(
            "SELECT lead_id, offer_id FROM handover.offer WHERE lead_id = ANY($1)", lead_ids
        )
        for row in offers:
            if self._forget_mail(row["offer_id"]):
                removed[row["lead_id"]]["kept_mail"] = removed[row["lead_id"]].get("kept_mail", 0) + 1
        for table in ("mail", "offer", "card", "lead"):
            rows = await connection.fetch(
                f"""WITH gone AS (DELETE FROM handover.{table} WHERE lead_id = ANY($1) RETURNING lead_id)
                    SELECT lead_id, count(*) AS rows FROM gone GROUP BY lead_id""",
                lead_ids,
            )
            for row in rows:
                removed[row["lead_id"]][table] = row["rows"]
        return removed

    def _forget_mail(self, offer_id: UUID) -> bool:
        """Remove the file of an offer that was kept instead of mailed; answers whether there was one."""
        if self.kept_mails is None:
            return False
        file = self.kept_mails / f"offer-{offer_id}@{self.sender_domain}.eml"
        found = file.exists()
        file.unlink(missing_ok=True)
        return found


async def _save_cards(connection: Connection, leads: Sequence[Lead[SalesLead]]) -> None:
    cards = [(lead.lead_id, lead.state.card) for lead in leads if lead.state.card_changed]
    if cards:
        await connection.execute(
            """INSERT INTO handover.card (lead_id, version, name, company, email, phone, language, message, answers)
                SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::jsonb[])
                ON CONFLICT (lead_id) DO UPDATE SET version = excluded.version, name = excluded.name,
                    company = excluded.company, email = excluded.email, phone = excluded.phone,
                    language = excluded.language, message = excluded.message, answers = excluded.answers""",
            *zip(*((lead_id, *_values(card)) for lead_id, card in cards), strict=True),
        )


def _values(card: Card) -> tuple[object, ...]:
    return tuple(getattr(card, field.name) for field in dataclasses.fields(card))


async def _save_offers(connection: Connection, leads: Sequence[Lead[SalesLead]]) -> None:
    offers = [(lead, offer) for lead in leads for offer in lead.state.offers.values()]
    if not offers:
        return
    rows = [
        (
            offer.offer_id, lead.lead_id, offer.rep_id, offer.cycle, offer.attempt, offer.offered_at, offer.due_at,
            offer.route, offer.why, offer.state, offer.answered_at, offer.ended_at, offer.reason, offer.note,
        )
        for lead, offer in offers
    ]  # fmt: skip
    await connection.execute(
        """INSERT INTO handover.offer AS o (offer_id, lead_id, rep_id, cycle, attempt, offered_at, due_at, route, why,
                state, answered_at, ended_at, reason, note)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::timestamptz[],
                $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],
                $12::timestamptz[], $13::text[], $14::text[])
            ON CONFLICT (offer_id) DO UPDATE SET due_at = excluded.due_at, state = excluded.state,
                answered_at = excluded.answered_at, ended_at = excluded.ended_at, reason = excluded.reason,
                note = coalesce(excluded.note, o.note)""",
        *zip(*rows, strict=True),
    )
    await _write_mails(connection, [(lead, offer) for lead, offer in offers if offer.tell])


async def _write_mails(connection: Connection, told: Sequence[tuple[Lead[SalesLead], Offer]]) -> None:
    """A new offer and the mail that tells of it are there together or not at all."""
    if not told:
        return
    await connection.execute(
        """INSERT INTO handover.mail (mail_id, lead_id, offer_id, rep_id, trace, due_at, created_at)
            SELECT mail_id, lead_id, offer_id, rep_id, trace, at, at
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
                AS row(mail_id, lead_id, offer_id, rep_id, trace, at)""",
        [uuid7() for _ in told],
        [lead.lead_id for lead, _ in told],
        [offer.offer_id for _, offer in told],
        [offer.rep_id for _, offer in told],
        [lead.cause.trace for lead, _ in told],
        [offer.offered_at for _, offer in told],
    )


def _state(row: asyncpg.Record) -> SalesLead:
    rest = msgspec.convert(row["rest"], _Rest)
    state = SalesLead(
        card=_card(row),
        score=row["score"],
        temperature=row["temperature"],
        scored_at=row["scored_at"],
        cycle=row["cycle"],
        listed=row["listed"],
        since=row["since"],
        reason=row["reason"],
        asked_for=row["asked_for"],
        asked_at=row["asked_at"],
        cause_id=row["cause_id"],
        trace=row["trace"],
        attempts=row["attempts"],
        waits_for=row["waits_for"],
        owner=row["owner"],
        offer=_offer(row) if row["rep_id"] is not None else None,
        value=row["value"],
        currency=row["currency"],
        fulfilled_at=row["fulfilled_at"],
        paid_at=row["paid_at"],
        top_reasons=rest.top_reasons,
        refused=rest.refused,
        decisions=rest.decisions,
        facts=rest.facts,
        silent=bool(row["silent"]),
    )
    state.as_loaded = (*(row[name] for name, _, _ in _COLUMNS[1:-1]), _rest_of(state))
    return state


def _card(row: asyncpg.Record) -> Card:
    if row["card_version"] is None:
        return Card()
    return Card(
        version=row["card_version"],
        name=row["name"],
        company=row["company"],
        email=row["email"],
        phone=row["phone"],
        language=row["language"],
        message=row["message"],
        answers=row["answers"],
    )


def _offer(row: asyncpg.Record) -> Offer:
    return Offer(
        offer_id=row["offer_id"],
        rep_id=row["rep_id"],
        cycle=row["offer_cycle"],
        attempt=row["attempt"],
        offered_at=row["offered_at"],
        due_at=row["offer_due_at"],
        route=row["route"],
        why=row["why"],
        state=OfferState(row["state"]),
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        reason=row["offer_reason"],
    )


def _rest_of(state: SalesLead) -> object:
    return msgspec.to_builtins(_Rest(state.top_reasons, state.refused, state.decisions, state.facts))
