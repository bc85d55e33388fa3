"""How capture's part of a lead is loaded and kept: its card, the proof of its consent, the stages it was told of."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from services.capture.domain.submission import Submission
from shared.events.capture import CardChanged, ContactPoint
from shared.events.codec import encode_attributes, encode_body
from shared.events.envelope import Envelope
from shared.events.privacy import ErasureDone
from shared.events.stage import StageChanged
from shared.leads import Lead

if TYPE_CHECKING:
    from shared.database import Connection

_card_decoder = msgspec.json.Decoder(CardChanged)


class _Reach(msgspec.Struct):
    """What of a card is asked for with every fact; the rest of its text is passed over, in half the time."""

    contact_points: list[ContactPoint] = msgspec.field(default_factory=list[ContactPoint])


_reach_decoder = msgspec.json.Decoder(_Reach)


@dataclasses.dataclass(slots=True)
class ConsentProof:
    """One line of the proof of consent. `source` is where it was said: the site, or the service that was told."""

    purpose: str
    granted: bool
    text: str
    site: str
    source: str
    at: datetime
    recorded_at: datetime
    submission_id: UUID | None = None
    ip_prefix: str = ""


class Received(NamedTuple):
    """A submission of the lead. `created`: the lead began with it."""

    submission: Submission
    created: bool
    at: datetime


class Note(NamedTuple):
    """Free text that came with an activity. The event tells only its length."""

    activity_id: UUID
    at: datetime
    text: str


class Record:
    """What capture knows of a lead. The card is only read from its text when somebody looks at it."""

    __slots__ = ("_card", "_points", "_text", "changed", "erasures", "notes", "proofs", "stages", "submissions")

    def __init__(self, text: str | None = None) -> None:
        self._text = text
        self._card: CardChanged | None = None
        self._points: Sequence[ContactPoint] | None = None
        self.changed = False
        self.proofs: list[ConsentProof] = []
        self.notes: list[Note] = []
        self.submissions: list[Received] = []
        self.stages: list[Envelope[StageChanged]] = []
        self.erasures: list[tuple[ErasureDone, datetime]] = []

    @property
    def card(self) -> CardChanged | None:
        if self._card is None and self._text is not None:
            self._card = _card_decoder.decode(self._text)
        return self._card

    @card.setter
    def card(self, card: CardChanged) -> None:
        self._card, self._points, self.changed = card, card.contact_points, True

    @property
    def has_card(self) -> bool:
        return self._card is not None or self._text is not None

    @property
    def contact_points(self) -> Sequence[ContactPoint]:
        """By what the lead can be reached; nothing where there is no card."""
        if self._points is None:
            self._points = _reach_decoder.decode(self._text).contact_points if self._text is not None else ()
        return self._points


class CaptureRepository:
    async def load(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Record]:
        rows = await connection.fetch("SELECT lead_id, body FROM capture.lead WHERE lead_id = ANY($1)", lead_ids)
        texts: dict[UUID, str | None] = {row["lead_id"]: row["body"] for row in rows}
        return {lead_id: Record(texts.get(lead_id)) for lead_id in lead_ids}

    async def save(self, connection: Connection, leads: Sequence[Lead[Record]]) -> None:
        await _save_submissions(connection, leads)
        await _save_notes(connection, [(lead.lead_id, note) for lead in leads for note in lead.state.notes])
        await _save_stages(connection, [event for lead in leads for event in lead.state.stages])
        await save_erasures(connection, [done for lead in leads for done in lead.state.erasures])

    async def erase(self, connection: Connection, lead_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
        removed: dict[UUID, dict[str, int]] = {lead_id: {} for lead_id in lead_ids}
        for table, statement in _ERASING.items():
            for row in await connection.fetch(statement, lead_ids):
                removed[row["lead_id"]][table] = removed[row["lead_id"]].get(table, 0) + 1
        return removed


# What was posted and put aside is found by the contact points of the lead, so it goes before those do.
_ERASING = {
    "quarantine": """DELETE FROM capture.quarantine q USING capture.identity i
                     WHERE i.lead_id = ANY($1) AND q.keys && ARRAY[i.key] RETURNING i.lead_id""",
    "identity": "DELETE FROM capture.identity WHERE lead_id = ANY($1) RETURNING lead_id",
    "submission": "DELETE FROM capture.submission WHERE lead_id = ANY($1) RETURNING lead_id",
    "note": "DELETE FROM capture.note WHERE lead_id = ANY($1) RETURNING lead_id",
    "consent_record": "DELETE FROM capture.consent_record WHERE lead_id = ANY($1) RETURNING lead_id",
    "review": "DELETE FROM capture.review WHERE lead_id = ANY($1) RETURNING lead_id",
    "review_of_others": "DELETE FROM capture.review WHERE other_id = ANY($1) RETURNING other_id AS lead_id",
    "import_lead": "DELETE FROM capture.import_lead WHERE lead_id = ANY($1) RETURNING lead_id",
    "visit": """DELETE FROM capture.visit v USING capture.visitor w
                WHERE w.lead_id = ANY($1) AND (v.site, v.visitor_id) = (w.site, w.visitor_id) RETURNING w.lead_id""",
    "visitor": "DELETE FROM capture.visitor WHERE lead_id = ANY($1) RETURNING lead_id",
    # The row stays as the tombstone that whoever reads the log of cards has to find.
    "card": """UPDATE capture.lead l SET body = NULL, version = version + 1, erasure_id = e.erasure_id::text
               FROM capture.erasure e WHERE l.lead_id = ANY($1) AND e.lead_id = l.lead_id RETURNING l.lead_id""",
}


async def _save_submissions(connection: Connection, leads: Sequence[Lead[Record]]) -> None:
    """Cards, what was posted and the proof of consent, which come together, in one statement."""
    cards = [(lead.lead_id, card) for lead in leads if lead.state.changed and (card := lead.state.card)]
    received = [(lead.lead_id, one) for lead in leads for one in lead.state.submissions]
    proofs = [(lead.lead_id, proof) for lead in leads for proof in lead.state.proofs]
    if not (cards or received or proofs):
        return
    await connection.execute(
        """WITH cards AS (
               INSERT INTO capture.lead (lead_id, version, body)
               SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[])
               ON CONFLICT (lead_id) DO UPDATE SET version = excluded.version, body = excluded.body
           ), received AS (
               INSERT INTO capture.submission (submission_id, lead_id, created, site, activity, at, received_at, body)
               SELECT * FROM unnest($4::uuid[], $5::uuid[], $6::bool[], $7::text[], $8::text[], $9::timestamptz[],
                   $10::timestamptz[], $11::text[])
           )
           INSERT INTO capture.consent_record
               (lead_id, submission_id, purpose, granted, text_hash, site, source, at, recorded_at, ip_prefix)
           SELECT * FROM unnest($12::uuid[], $13::uuid[], $14::text[], $15::bool[], $16::text[], $17::text[],
               $18::text[], $19::timestamptz[], $20::timestamptz[], $21::text[])""",
        [lead_id for lead_id, _ in cards],
        [card.version for _, card in cards],
        [encode_body(card) for _, card in cards],
        [one.submission.submission_id for _, one in received],
        [lead_id for lead_id, _ in received],
        [one.created for _, one in received],
        [one.submission.site for _, one in received],
        [one.submission.activity.type for _, one in received],
        [one.submission.activity.at for _, one in received],
        [one.at for _, one in received],
        [msgspec.json.encode(one.submission).decode() for _, one in received],
        [lead_id for lead_id, _ in proofs],
        [proof.submission_id for _, proof in proofs],
        [proof.purpose for _, proof in proofs],
        [proof.granted for _, proof in proofs],
        [_hash(proof.text) for _, proof in proofs],
        [proof.site for _, proof in proofs],
        [proof.source for _, proof in proofs],
        [proof.at for _, proof in proofs],
        [proof.recorded_at for _, proof in proofs],
        [proof.ip_prefix for _, proof in proofs],
    )


@lru_cache(1024)
def _hash(text: str) -> str:
    """What was agreed to is the same text on every form of a site."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


async def _save_notes(connection: Connection, notes: Sequence[tuple[UUID, Note]]) -> None:
    if not notes:
        return
    await connection.execute(
        """INSERT INTO capture.note (activity_id, lead_id, at, text)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[])""",
        [note.activity_id for _, note in notes],
        [lead_id for lead_id, _ in notes],
        [note.at for _, note in notes],
        [note.text for _, note in notes],
    )


async def _save_stages(connection: Connection, events: Sequence[Envelope[StageChanged]]) -> None:
    if not events:
        return
    await connection.execute(
        """INSERT INTO capture.stage_heard (lead_id, seq, event_id, attributes, body)
           SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING""",
        [event.lead_id for event in events],
        [event.seq for event in events],
        [event.id for event in events],
        [encode_attributes(event.attributes) for event in events],
        [encode_body(event.data) for event in events],
    )


async def save_erasures(connection: Connection, done: Sequence[tuple[ErasureDone, datetime]]) -> None:
    """A service may say it twice; what it removed first is the truth of it."""
    if not done:
        return
    await connection.execute(
        """INSERT INTO capture.erasure_done (erasure_id, service, done_at, removed)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::jsonb[]) ON CONFLICT DO NOTHING""",
        [UUID(event.erasure_id) for event, _ in done],
        [event.service for event, _ in done],
        [at for _, at in done],
        [event.removed for event, _ in done],
    )
