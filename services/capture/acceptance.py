"""Many submissions in one transaction: each is recognised, decided and kept, and gets its own answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

import msgspec

from services.capture import identities, repeatable, visitors
from services.capture.domain.recognition import Person, keys_of
from services.capture.domain.submission import Submission, Visit
from services.capture.handlers import record_submission
from services.capture.repeatable import Kept, Key
from services.capture.repository import Received, Record
from shared.clock import uuid7
from shared.errors import Refused, Unavailable
from shared.events.envelope import Actor
from shared.leads import Cause, Lead, Leads, Work

if TYPE_CHECKING:
    from shared.database import Connection


class InFlight(Unavailable):
    """A request with this Idempotency-Key is being answered right now; ask again in a moment."""

    status = 409
    title = "Being answered"


class KeyReused(Refused):
    """This Idempotency-Key was used for another body; take a new one."""

    status = 422
    title = "Key used before"


class Answer(msgspec.Struct, frozen=True):
    """What became of a submission. `lead_id` is missing for one that was put aside."""

    submission_id: UUID
    outcome: Literal["new", "known", "quarantined"]
    lead_id: UUID | None = None

    @property
    def created(self) -> bool:
        return self.outcome == "new"


class Ask(NamedTuple):
    """A submission, and the key under which it may be repeated.

    `facts`, when given, are recorded in place of the submission's own activity.
    """

    submission: Submission
    key: Key | None = None
    body_hash: bytes = b""
    trace: str = ""
    facts: Sequence[Visit] | None = None


Verdict = Answer | InFlight | KeyReused
_answer_decoder = msgspec.json.Decoder(Answer)


async def accept(
    leads: Leads[Record],
    connection: Connection,
    asks: Sequence[Ask],
    now: datetime,
    *,
    again: bool = False,
    also: Callable[[Connection, Sequence[Verdict]], Awaitable[None]] | None = None,
) -> list[Verdict]:
    """Take all of it in; the caller commits. Keys within `asks` differ from each other.

    `again`: an earlier try may have been committed before its connection was lost, so look whether it was. `also` runs
    before the events are written, which come last because they hold their lanes until the commit.
    """
    verdicts: dict[UUID, Verdict] = {}
    if again:
        verdicts |= await _found(connection, [ask.submission.submission_id for ask in asks])
    verdicts |= await _repeated(connection, [a for a in asks if a.submission.submission_id not in verdicts], now)
    fresh = [ask for ask in asks if ask.submission.submission_id not in verdicts]
    verdicts |= await put_aside(connection, [ask.submission for ask in fresh if ask.submission.trap], now)
    sound = [ask for ask in fresh if not ask.submission.trap]
    work = await _open(leads, connection, sound, now)
    verdicts |= {answer.submission_id: answer for answer in work.answers}
    await repeatable.keep(connection, [_repeat(ask, verdicts) for ask in fresh if ask.key], now)
    ordered = [verdicts[ask.submission.submission_id] for ask in asks]
    if also is not None:
        await also(connection, ordered)
    if work.leads is not None:
        await leads.save(work.leads)
    return ordered


async def _found(connection: Connection, submission_ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    rows = await connection.fetch(
        """SELECT submission_id, lead_id, created FROM capture.submission WHERE submission_id = ANY($1)
           UNION ALL SELECT submission_id, NULL, false FROM capture.quarantine
               WHERE submission_id = ANY($1) AND released_at IS NULL""",
        submission_ids,
    )
    return {row["submission_id"]: _answer_of(row["submission_id"], row["lead_id"], row["created"]) for row in rows}


def _answer_of(submission_id: UUID, lead_id: UUID | None, created: bool) -> Answer:
    return Answer(submission_id, "quarantined" if lead_id is None else "new" if created else "known", lead_id)


async def _repeated(connection: Connection, asks: Sequence[Ask], now: datetime) -> dict[UUID, Verdict]:
    """The verdict on each ask whose key was used before, or is in use elsewhere."""
    keyed = [(ask, ask.key) for ask in asks if ask.key]
    claims = await repeatable.claim(connection, [key for _, key in keyed], now)
    verdicts: dict[UUID, Verdict] = {}
    for (ask, _), claim in zip(keyed, claims, strict=True):
        if claim.kept:
            verdicts[ask.submission.submission_id] = _same_or_reused(claim.kept, ask.body_hash)
        elif not claim.ours:
            verdicts[ask.submission.submission_id] = InFlight()
    return verdicts


def _same_or_reused(before: Kept, body_hash: bytes) -> Verdict:
    return _answer_decoder.decode(before.answer) if before.body_hash == body_hash else KeyReused()


def _repeat(ask: Ask, verdicts: Mapping[UUID, Verdict]) -> tuple[Key, bytes, str]:
    assert ask.key
    return ask.key, ask.body_hash, msgspec.json.encode(verdicts[ask.submission.submission_id]).decode()


async def put_aside(connection: Connection, submissions: Sequence[Submission], now: datetime) -> dict[UUID, Verdict]:
    """Keep what no person can have sent, with the reason, for somebody to look at: nothing is thrown away unseen."""
    if submissions:
        await connection.execute(
            """INSERT INTO capture.quarantine (submission_id, reason, site, received_at, keys, body)
               SELECT submission_id, 'honeypot', site, $5, string_to_array(keys, ' '), body
               FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n(submission_id, site, keys, body)""",
            [one.submission_id for one in submissions],
            [one.site for one in submissions],
            [" ".join(keys_of(_person(one))) for one in submissions],
            [msgspec.json.encode(one).decode() for one in submissions],
            now,
        )
    return {one.submission_id: Answer(one.submission_id, "quarantined") for one in submissions}


@dataclasses.dataclass(slots=True)
class _Work:
    """The leads of some submissions, decided but not saved, and the answer to each."""

    leads: Work[Record] | None
    answers: list[Answer]


async def _open(leads: Leads[Record], connection: Connection, asks: Sequence[Ask], now: datetime) -> _Work:
    """Locks are taken in one order everywhere: keys of repeats, contact points, visitors, leads, lanes."""
    if not asks:
        return _Work(None, [])
    people = [_person(ask.submission) for ask in asks]
    ids = [one.lead_id for one in await identities.resolve(connection, people, now)]
    fresh = {lead_id for lead_id, person in zip(ids, people, strict=True) if lead_id == person.fresh}
    known = {
        (ask.submission.site, ask.submission.visitor_id): lead_id
        for ask, lead_id in zip(asks, ids, strict=True)
        if ask.submission.visitor_id
    }
    visits = await visitors.link(connection, known, now)
    work = await leads.open(
        connection,
        [lead_id for lead_id in ids if lead_id not in fresh],
        Cause(time=now),
        now,
        create=False,
        fresh={lead_id: Record() for lead_id in fresh},
    )
    answers = [
        _decide(work.leads[lead_id], ask, visits.pop(lead_id, ()), now) for ask, lead_id in zip(asks, ids, strict=True)
    ]
    return _Work(work, answers)


def _decide(lead: Lead[Record], ask: Ask, visits: Sequence[Visit], now: datetime) -> Answer:
    submission = ask.submission
    created = lead.standing.stage is None
    lead.begin(
        Cause(
            time=submission.activity.at,
            history=submission.history,
            trace=ask.trace,
            event_id=str(submission.submission_id),
            actor=Actor(submission.sender),
        ),
        now,
    )
    own = [Visit(submission.submission_id, submission.activity, submission.touch)] if ask.facts is None else ask.facts
    record_submission(lead, submission, [*visits, *own] if visits else own, now)
    lead.state.submissions.append(Received(submission, created, now))
    return Answer(submission.submission_id, "new" if created else "known", lead.lead_id)


def _person(submission: Submission) -> Person:
    return Person(uuid7(), submission.email, submission.phone, submission.test)
