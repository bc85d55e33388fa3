"""The sender: takes a few due mails in hand, gives them to the mail server, and settles what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import structlog
from aiosmtplib import SMTPDataError, SMTPRecipientsRefused

from services.nurture import claims, courses
from services.nurture.claims import Claim
from services.nurture.domain.nurtured import Nurtured
from services.nurture.domain.person import Suppression
from services.nurture.domain.touch import Fate, State
from services.nurture.journey_files import JOURNEYS
from services.nurture.letters import Letters
from services.nurture.repository import Repository, suppress
from shared import metrics
from shared.database import is_transient
from shared.events.envelope import Actor
from shared.leads import Cause, Work
from shared.mail import CONNECTIONS, Mailer, MailRefused, MailServerAway, MailUncertain, as_they_leave, finishing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage
    from uuid import UUID

    from shared.service import Runtime

# A mail has this long to leave; its claim holds twice as long, so that none is sent by one process and settled as
# lapsed by another.
SEND_SECONDS = 60
LEASE = timedelta(seconds=2 * SEND_SECONDS)
# What became of a mail is written down however often the database has to be asked, as long as the claim holds.
SETTLE_SECONDS = 50.0
IDLE_SECONDS = (0.05, 0.5)
# When idle, and when busy: what may be sent goes before what may not.
TIDY_SECONDS = (1.0, 30.0)
LONGEST_REST_SECONDS = 30.0
# None waits for a connection: its time to leave has begun, and a killed sender leaves all in its hands in doubt.
AT_ONCE = CONNECTIONS
AWAY = "mail_server_away"

# Said as the figures of all services say it.
_FIGURES = {
    Fate.accepted: "sent",
    Fate.uncertain: "unknown",
    Fate.refused: "deferred",
    Fate.refused_for_good: "failed",
    Fate.bounced: "bounced",
    Fate.rehearsed: "test",
}

logger = structlog.get_logger("mailing")


class _Sent(NamedTuple):
    """A claimed mail and what became of it."""

    claim: Claim
    fate: Fate
    reason: str


class Mailing:
    """One sender. Several may run, in one process or many: a mail is claimed by one of them."""

    def __init__(
        self, runtime: Runtime[Nurtured], mailer: Mailer, letters: Letters, *, real: bool, lease: timedelta = LEASE
    ) -> None:
        """`real`: the mails leave the house, so leads that are tests get none."""
        self._runtime = runtime
        self._mailer = mailer
        self._letters = letters
        self._real = real
        self._lease = lease
        self._rest = 0.0

    async def run(self) -> None:
        pause, tidied = IDLE_SECONDS[0], 0.0
        try:
            while True:
                sent = 0
                try:
                    sent = await self.send_due()
                    if monotonic() - tidied > TIDY_SECONDS[sent > 0]:
                        await self.tidy()
                        tidied = monotonic()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    logger.warning("mailing_interrupted", error=type(error).__name__)
                pause = IDLE_SECONDS[0] if sent else min(pause * 1.3, IDLE_SECONDS[1])
                await asyncio.sleep(self._rest or (0 if sent else pause))
        finally:
            await self.close()

    async def close(self) -> None:
        await self._mailer.close()

    async def send_due(self) -> int:
        """Take the mails that have been due longest and may be sent, and send them; answers how many there were."""
        marks = dict(self._runtime.progress.marks)
        return await finishing(self._send_due(marks)) if marks else 0

    async def _send_due(self, marks: Mapping[int, datetime]) -> int:
        # While the server is away one is enough to find out.
        limit = 1 if self._rest else AT_ONCE
        async with self._runtime.database.connection() as connection:
            claimed = await claims.claim(connection, marks, self._runtime.clock.now(), self._lease, limit)
        if claimed:
            await self._deliver(claimed)
        return len(claimed)

    async def tidy(self) -> None:
        """Give up what may not be sent, and settle what a killed sender left behind."""
        marks = dict(self._runtime.progress.marks)
        async with self._runtime.database.connection() as connection:
            refused: Sequence[UUID] = ()
            if marks:
                refused = await claims.refused(connection, marks, self._runtime.clock.now())
            lapsed = await claims.lapsed(connection)
        if refused or lapsed:
            await self._give_up([*refused, *lapsed])

    async def _deliver(self, claimed: Sequence[Claim]) -> None:
        """Send them side by side, and settle together those that are through."""
        rest, self._rest = self._rest, 0.0
        async for sent in as_they_leave(self._hand_over(claim) for claim in claimed):
            for one in sent:
                metrics.MAILS.labels("nurture", _FIGURES[one.fate]).inc()
            if any(one.reason == AWAY for one in sent):
                # Nobody gets a mail now: try one at a time, further and further apart.
                self._rest = min(max(rest * 2, 1.0), LONGEST_REST_SECONDS)
            await self._settle_surely(sent)

    async def _settle_surely(self, sent: Sequence[_Sent]) -> None:
        until, pause = monotonic() + SETTLE_SECONDS, 0.1
        while True:
            try:
                await self._settle(sent)
                return
            except Exception as error:
                if not is_transient(error) or monotonic() > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _hand_over(self, claim: Claim) -> _Sent:
        if claim.test and self._real:
            return _Sent(claim, Fate.rehearsed, "test")
        journey = JOURNEYS.get(claim.touch.journey)
        step = journey.mail(claim.touch.step) if journey else None
        if step is None:
            return _Sent(claim, Fate.refused_for_good, "journey_changed")
        try:
            message = self._letters.write(claim, step, self._runtime.clock.now())
        except Exception as error:  # one person's name or address must not stop the mails of all others
            logger.error("mail_not_written", lead=str(claim.lead_id), error=type(error).__name__)
            why = "bad_address" if isinstance(error, ValueError) else "not_written"
            return _Sent(claim, Fate.refused_for_good, why)
        return _Sent(claim, *await self._send(message))

    async def _send(self, message: EmailMessage) -> tuple[Fate, str]:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._mailer.send(message)
        except (MailUncertain, TimeoutError):
            return Fate.uncertain, "no_receipt"
        except MailServerAway:
            return Fate.refused, AWAY
        except MailRefused as refusal:
            return _fate(refusal), f"smtp_{refusal.code}" if refusal.code else "refused"
        except Exception as error:  # whatever it was, nobody knows how far the mail had come
            logger.exception("mail_lost_sight_of", error=type(error).__name__)
            return Fate.uncertain, "no_receipt"
        return Fate.accepted, ""

    async def _settle(self, sent: Sequence[_Sent]) -> None:
        runtime = self._runtime
        now = runtime.clock.now()
        async with runtime.leads.work([one.claim.lead_id for one in sent], cause=_cause(now, "")) as work:
            for one in sent:
                await self._settle_one(work, one)

    async def _settle_one(self, work: Work[Nurtured], sent: _Sent) -> None:
        repository = self._runtime.leads.repository
        assert isinstance(repository, Repository)
        claim, fate = sent.claim, sent.fate
        lead = work.leads.get(claim.lead_id)
        if fate is Fate.bounced and (lead is None or repository.blinded(lead.state.person.email) != claim.fingerprint):
            # The address that bounced is no longer the lead's.
            bounced = Suppression(work.now, "bounced")
            await suppress(work.connection, [(claim.fingerprint, claim.touch.purpose, bounced)])
            fate = Fate.refused_for_good
        if lead is None or lead.standing.erased:
            repository.forget_mail(claim.message_id)
            return
        touch = lead.state.touches.get(claim.touch.key)
        if touch is not None and touch.state is State.claimed and touch.attempts == claim.touch.attempts:
            lead.begin(_cause(work.now, claim.touch.trace), work.now)
            courses.settle(lead, touch, fate, sent.reason, work.now)

    async def _give_up(self, lead_ids: list[UUID]) -> None:
        now = self._runtime.clock.now()
        async with self._runtime.leads.work(lead_ids, cause=_cause(now, "")) as work:
            for lead in work.leads.values():
                if lead.standing.erased:
                    continue
                courses.leave_refused(lead, now)
                for touch in list(lead.state.touches.values()):
                    if touch.state is State.claimed and touch.lapsed:
                        lead.begin(_cause(now, touch.trace), now)
                        courses.settle(lead, touch, Fate.uncertain, "sender_lost", now)
                courses.set_timer(lead)


def _cause(now: datetime, trace: str) -> Cause:
    return Cause(time=now, trace=trace, actor=Actor("timer", "mailing"))


def _fate(refusal: MailRefused) -> Fate:
    """Whether the address is to blame: then it gets no mail any more. It is not for what is wrong with us or the mail.

    5.7 of RFC 3463 is policy: a full blacklist or a missing DKIM key would else suppress every address in turn.
    """
    if not refusal.permanent:
        return Fate.refused
    error = refusal.__cause__
    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]
    elif not (isinstance(error, SMTPDataError) and error.code in {550, 551, 553}):
        return Fate.refused_for_good
    return Fate.refused_for_good if error.message.startswith("5.7.") else Fate.bounced
