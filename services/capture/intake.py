"""Group commit: requests wait in a queue, one writer takes whatever is there, and each is answered after the commit."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, deque
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from services.capture import metrics
from services.capture.acceptance import Answer, Ask, InFlight, KeyReused, Verdict, accept
from services.capture.domain.channel import OURS
from services.capture.repeatable import Key, Outrun
from services.capture.repository import Record
from services.capture.room import room_in
from services.capture.settings import CaptureSettings
from shared.database import is_transient
from shared.errors import Unavailable
from shared.leads import Leads

if TYPE_CHECKING:
    from shared.service import Runtime

MOST_TOGETHER = 256
# A broken connection is no reason to turn anybody away: the next may be good. Callers hear in a quarter second.
RETRY_SECONDS = 0.15
_RETRY_PAUSE = 0.02
# A key that another process is answering is asked for again this often, and this long.
_HELD_PAUSE = 0.02
_WATCH_PAUSE = 0.05
HELD_SECONDS = 0.4

_LOST_A_RACE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Outrun)


class TooMany(Unavailable):
    """Too much comes from this site at once; ask again in a moment."""

    status = 429
    title = "Too many requests"


logger = structlog.get_logger("intake")
# Looked up once for each of our own words.
_counted = cache(metrics.SUBMISSIONS.labels)


@dataclasses.dataclass(slots=True, eq=False)
class _Waiting:
    """A request on its way to its commit. `tried`: a commit of it may have got through unnoticed."""

    ask: Ask
    since: float
    answer: asyncio.Future[Answer]
    tried: bool = False
    held_since: float = 0.0


class Intake:
    """The one way in for submissions, of forms and of files alike."""

    def __init__(self, leads: Leads[Record], settings: CaptureSettings) -> None:
        self._leads = leads
        self._settings = settings
        self._queue: deque[_Waiting] = deque()
        self._more = asyncio.Event()
        # Everybody without an answer, whoever has waited longest first.
        self._here: dict[_Waiting, None] = {}
        self._watching: asyncio.Task[None] | None = None
        self._by_key: dict[Key, _Waiting] = {}
        self._of_site: Counter[str] = Counter()
        self._progress = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def take(self, ask: Ask) -> Answer:
        """The answer to a submission, once it is durable.

        Two equal requests with one key share one answer. Raises `KeyReused`, `InFlight`, and `Unavailable` when there
        is no telling that it is stored.
        """
        while ask.key is not None and (same := self._by_key.get(ask.key)) is not None:
            await asyncio.wait([same.answer])
            if not same.answer.cancelled() and same.ask.body_hash == ask.body_hash:
                return same.answer.result()
            if not same.answer.cancelled() and same.answer.exception() is None:
                raise KeyReused
            self._forget_key(same)
        waiting = self._enqueue(ask)
        try:
            return await waiting.answer
        finally:
            del self._here[waiting]
            self._of_site[ask.submission.site] -= 1
            self._forget_key(waiting)

    def _enqueue(self, ask: Ask) -> _Waiting:
        self._make_room(ask.submission.site)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(ask, loop.time(), loop.create_future())
        self._here[waiting] = None
        if self._watching is None or self._watching.done():
            self._watching = loop.create_task(self._watch())
        if ask.key is not None:
            self._by_key[ask.key] = waiting
        self._queue.append(waiting)
        self._more.set()
        return waiting

    def _make_room(self, site: str) -> None:
        """One site in a storm may fill half of the room; the other half is for those it has nothing to do with."""
        most = self._settings.most_waiting
        if len(self._here) >= most:
            raise Unavailable("too many are waiting; ask again in a moment")
        if self._of_site[site] >= max(most // 2, 1):
            raise TooMany
        self._of_site[site] += 1

    def _forget_key(self, waiting: _Waiting) -> None:
        if waiting.ask.key is not None and self._by_key.get(waiting.ask.key) is waiting:
            del self._by_key[waiting.ask.key]

    async def _watch(self) -> None:
        """See to it that nobody waits too long, nor for a database that is away."""
        while self._here:
            self._look(asyncio.get_running_loop().time())
            await asyncio.sleep(_WATCH_PAUSE)

    def _look(self, now: float) -> None:
        for waiting in self._here:
            if waiting.since + self._settings.deadline_seconds > now:
                break
            _settle(waiting.answer, Unavailable("this could not be stored in time"))
        longest = next(iter(self._here)).since
        stalled = now >= max(longest, self._progress) + self._settings.stalled_seconds
        if stalled and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_database())

    async def _ask_database(self) -> None:
        """A database that answers is slow, so that waiting is right; one that does not is away."""
        question = asyncio.get_running_loop().create_task(self._question())
        # One that fails after nobody waits for it any more is no news.
        question.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        # Not a timeout: that would wait until the connection is given back, which a dead server draws out.
        done, _ = await asyncio.wait({question}, timeout=self._settings.stalled_seconds)
        if done and question.exception() is None:
            self._progress = asyncio.get_running_loop().time()
            return
        logger.warning("database_away", waiting=len(self._here))
        for waiting in self._here:
            _settle(waiting.answer, Unavailable("the database does not answer"))
        question.cancel()

    async def _question(self) -> None:
        async with self._leads.database.connection() as connection:
            await connection.execute("SELECT 1")

    async def write(self) -> None:
        """Commit what is there, over and over; nothing waits for company."""
        while True:
            await self._more.wait()
            batch = self._next()
            if not batch:
                self._more.clear()
                continue
            await self._write(batch)

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < MOST_TOGETHER:
            waiting = self._queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Answer all of it. What fails is halved until what fails stands alone and gets its own error."""
        began = asyncio.get_running_loop().time()
        try:
            verdicts = await self._commit(batch)
        except Exception as error:
            if is_transient(error):
                await self._again_or_away(batch, error, began)
            elif len(batch) == 1:
                _settle(batch[0].answer, error)
            else:
                middle = len(batch) // 2
                await self._write(batch[:middle])
                await self._write(batch[middle:])
            return
        self._progress = asyncio.get_running_loop().time()
        for waiting, verdict in zip(batch, verdicts, strict=True):
            self._answer(waiting, verdict)

    async def _commit(self, batch: Sequence[_Waiting]) -> list[Verdict]:
        again = any(waiting.tried for waiting in batch)
        for waiting in batch:
            waiting.tried = True
        async with self._leads.database.transaction() as connection:
            now = self._leads.clock.now()
            verdicts = await accept(self._leads, connection, [w.ask for w in batch], now, again=again)
        metrics.GROUP_COMMIT.labels(self._leads.service).observe(len(batch))
        return verdicts

    async def _again_or_away(self, batch: Sequence[_Waiting], error: Exception, began: float) -> None:
        """Try again with who had not waited long when this began; tell the others that the database is away.

        How long it took does not count: a slow commit whose connection breaks is worth a second one.
        """
        patience = self._settings.deadline_seconds if isinstance(error, _LOST_A_RACE) else RETRY_SECONDS
        young = [waiting for waiting in batch if began - waiting.since < patience]
        for waiting in batch:
            if began - waiting.since >= patience:
                _settle(waiting.answer, Unavailable("the database cannot be reached"))
        if len(young) < len(batch):
            logger.warning("submissions_turned_away", count=len(batch) - len(young), error=type(error).__name__)
        self._queue.extendleft(reversed(young))
        await asyncio.sleep(_RETRY_PAUSE)

    def _answer(self, waiting: _Waiting, verdict: Verdict) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(verdict, InFlight):
            waiting.held_since = waiting.held_since or loop.time()
        if isinstance(verdict, InFlight) and loop.time() - waiting.held_since < HELD_SECONDS:
            loop.call_later(_HELD_PAUSE, self._back, waiting)
        elif isinstance(verdict, Answer):
            came_by = waiting.ask.submission.touch.channel
            outcome = "test" if waiting.ask.submission.test else verdict.outcome
            _counted(came_by if came_by in OURS else "other", outcome).inc()
            if not waiting.answer.done():
                waiting.answer.set_result(verdict)
        else:
            _settle(waiting.answer, verdict)

    def _back(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        self._more.set()


def _settle(answer: asyncio.Future[Answer], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        # Its request may have gone; nobody has to hear of it then.
        answer.exception()


def intake_of(runtime: Runtime[Any]) -> Intake:
    """The intake of a running service; it must run as part `api` for anything to be committed."""
    if "intake" not in runtime.attached:
        runtime.attached["intake"] = Intake(runtime.leads, room_in(runtime).settings)
    intake: Intake = runtime.attached["intake"]
    return intake


async def write(runtime: Runtime[Any]) -> None:
    await intake_of(runtime).write()
