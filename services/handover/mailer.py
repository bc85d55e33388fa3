"""Mails to reps: written with the offer they tell of, sent by whoever claims them first.

An offer's mail is sent at least once: where the connection broke before the receipt it is sent again with the same
Message-ID, as two mails of one offer do less harm than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, NamedTuple, cast
from uuid import UUID

import structlog

from services.handover import offers
from services.handover.domain.lead import SalesLead
from services.handover.repository import SalesLeads
from services.handover.settings import HandoverSettings
from services.handover.wake import keep_looking
from services.handover.writing import Letters
from shared import metrics
from shared.database import is_transient
from shared.mail import CONNECTIONS, Mailer, MailRefused, MailUncertain, as_they_leave, compose, finishing
from shared.trace import traced

if TYPE_CHECKING:
    import asyncpg

    from shared.service import Runtime

# Few: those in the hands of a process that is killed may be sent once more by the next.
CLAIMED_AT_ONCE = 2 * CONNECTIONS
# Longer than that many mails can take, each up to `shared.mail.SEND_SECONDS`.
LEASE = timedelta(minutes=2)
LONGEST_PAUSE = timedelta(minutes=5)
IDLE_SECONDS = 0.5

logger = structlog.get_logger("mailer")


class _Fate(NamedTuple):
    """What became of a mail at this attempt."""

    mail_id: UUID
    attempts: int
    state: str
    error: str = ""
    due_at: datetime | None = None
    sent_at: datetime | None = None


class OfferMailer:
    """Several may run at once: a mail is claimed for a while, and the claim's number guards what is written of it."""

    def __init__(self, runtime: Runtime[SalesLead], mailer: Mailer) -> None:
        self.runtime = runtime
        self.mailer = mailer
        self.settings = cast("HandoverSettings", runtime.settings)
        self.letters = Letters(self.settings)

    async def work(self) -> int:
        """Send what is due; answers how many mails were dealt with. What was claimed is sent before a stop."""
        return await finishing(self._work())

    async def _work(self) -> int:
        try:
            claimed = await self._claim()
            async for sent in as_they_leave(self._send(row) for row in claimed):
                await self._note(sent)
            return len(claimed)
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("mailing_interrupted", error=type(error).__name__)
            return 0

    async def _claim(self) -> list[asyncpg.Record]:
        """Claim what is due, with all that the mail says. What is no longer on offer is dropped unsent."""
        now = self.runtime.clock.now()
        async with self.runtime.database.connection() as connection:
            due = await connection.fetch(
                """WITH due AS MATERIALIZED (
                        SELECT mail_id, offer_id FROM handover.mail
                        WHERE state IN ('waiting', 'sending') AND due_at <= $1
                        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
                    UPDATE handover.mail m SET attempts = attempts + 1, due_at = $2,
                        state = CASE WHEN o.state = 'open' THEN 'sending' ELSE 'dropped' END,
                        error = CASE WHEN o.state = 'open' THEN m.error ELSE 'offer is over' END
                    FROM due LEFT JOIN handover.offer o USING (offer_id) WHERE m.mail_id = due.mail_id
                    RETURNING m.mail_id""",
                now, now + LEASE, CLAIMED_AT_ONCE,
            )  # fmt: skip
            return await connection.fetch(_CONTENT, [row["mail_id"] for row in due]) if due else []

    async def _send(self, row: asyncpg.Record) -> _Fate:
        """What became of it."""
        now = self.runtime.clock.now()
        with traced(row["trace"]):
            try:
                await self.mailer.send(self._message(row, now))
            except MailRefused as refused:
                return self._failed(row, str(refused), permanent=refused.permanent)
            except MailUncertain:
                return self._failed(row, "no receipt", permanent=False)
            except ValueError:
                return self._failed(row, "address cannot be written to", permanent=True)
            return _Fate(row["mail_id"], row["attempts"], "sent", sent_at=now)

    def _message(self, row: asyncpg.Record, now: datetime) -> EmailMessage:
        mail = self.letters.offer_mail(row, now)
        return compose(
            sender=self.settings.sender,
            to=row["rep_email"],
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            message_id=f"offer-{row['offer_id']}@{self.settings.sender_domain}",
            at=now,
            headers={"Auto-Submitted": "auto-generated"},
        )

    def _failed(self, row: asyncpg.Record, error: str, *, permanent: bool) -> _Fate:
        pause = min(timedelta(seconds=2 ** min(row["attempts"], 10)), LONGEST_PAUSE)
        logger.warning("mail_not_sent", mail=str(row["mail_id"]), reason=error, permanent=permanent)
        due_at = None if permanent else self.runtime.clock.now() + pause
        return _Fate(row["mail_id"], row["attempts"], "failed" if permanent else "waiting", error, due_at)

    async def _note(self, fates: Sequence[_Fate]) -> None:
        for fate in fates:
            metrics.MAILS.labels("handover", "deferred" if fate.state == "waiting" else fate.state).inc()
        async with self.runtime.database.connection() as connection:
            await connection.execute(
                """UPDATE handover.mail m SET state = f.state, error = f.error, due_at = coalesce(f.due_at, m.due_at),
                        sent_at = f.sent_at
                    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
                        AS f(mail_id, attempts, state, error, due_at, sent_at)
                    WHERE m.mail_id = f.mail_id AND m.attempts = f.attempts AND m.state = 'sending'""",
                *zip(*fates, strict=True),
            )


async def run(runtime: Runtime[SalesLead]) -> None:
    mailer = Mailer(runtime.settings.smtp_url, runtime.settings.data_dir / "mail")
    told = cast("SalesLeads", runtime.leads.repository).wake.mailer
    try:
        await keep_looking(told, OfferMailer(runtime, mailer).work, IDLE_SECONDS)
    finally:
        await mailer.close()


_CONTENT = f"""
    SELECT m.mail_id, m.attempts, m.trace, {offers.TOLD} FROM handover.mail m
    JOIN handover.offer o USING (offer_id) {offers.JOINED}
    WHERE m.mail_id = ANY($1) AND m.state = 'sending' ORDER BY m.created_at"""
