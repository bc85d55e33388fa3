"""What is asked of capture for a row of a file: the same submission that a post would be, and the facts beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from services.capture.acceptance import Ask
from services.capture.bodies import ActivityBody, LeadBody
from services.capture.domain.submission import Submission, Visit
from services.capture.importing.mapping import BadRow, ImportedRow
from services.capture.parsing import Context, understand, understand_fact
from services.capture.sites import Site
from shared.clock import uuid7
from shared.errors import Malformed


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A row that can be taken. `keys` are those of its facts that nobody has taken before."""

    row: ImportedRow
    ask: Ask
    keys: tuple[str, ...]

    @property
    def because(self) -> str:
        """Why the row belongs to a lead that is known already."""
        return "same e-mail address" if self.ask.submission.email else "same telephone number"


@dataclasses.dataclass(frozen=True, slots=True)
class Asker:
    """Turns rows into submissions of one site, all of them history."""

    site: Site
    currency: str
    types: Collection[str]
    trace: str

    def ask(self, row: ImportedRow, known: Collection[str], now: datetime) -> Asked | BadRow | None:
        """None when every fact of the row is among the `known`; the row itself with what is wrong, if it cannot be."""
        keys = row.activity_keys()
        fresh = [key not in known for key in keys]
        if not any(fresh):
            return None
        context = self._context(now)
        try:
            body = msgspec.convert(row.submission, LeadBody)
            submission = understand(msgspec.structs.replace(body, history=True), context)
            facts = self._facts(row, submission, fresh, context)
        except (Malformed, msgspec.ValidationError) as refusal:
            problems = refusal.problems if isinstance(refusal, Malformed) else (("", str(refusal)),)
            said = tuple((where.removeprefix("/").replace("/", "."), why) for where, why in problems)
            return BadRow(row.line, row.cells, "", said, row.end)
        new = tuple(key for key, is_fresh in zip(keys, fresh, strict=True) if is_fresh)
        return Asked(row, Ask(submission, trace=self.trace, facts=facts), new)

    def _facts(
        self, row: ImportedRow, submission: Submission, fresh: Sequence[bool], context: Context
    ) -> Sequence[Visit]:
        """The facts that are new, the earliest first."""
        own = Visit(submission.submission_id, submission.activity, submission.touch)
        further = [self._fact(activity, submission, context) for activity in row.activities]
        new = [fact for fact, is_fresh in zip([own, *further], fresh, strict=True) if is_fresh]
        return sorted(new, key=lambda fact: fact.activity.at)

    def _fact(self, said: object, submission: Submission, context: Context) -> Visit:
        activity = understand_fact(msgspec.convert(said, ActivityBody), context)
        return Visit(uuid7(), activity, msgspec.structs.replace(submission.touch, at=activity.at))

    def _context(self, now: datetime) -> Context:
        return Context(
            submission_id=uuid7(),
            now=now,
            site=self.site.name,
            policy=self.site.policy,
            product=self.site.product,
            region=self.site.region,
            currency=self.currency,
            test=self.site.test,
            trusted=True,
            sender="import",
            types=self.types,
        )
