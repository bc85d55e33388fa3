"""A service is declared once: what it hears, says, times and serves. The declaration is the wiring."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from shared import log, metrics
from shared.bus.progress import Progress
from shared.clock import Clock, SystemClock
from shared.consumer import Consumer, Handler
from shared.database import Database
from shared.errors import Unavailable
from shared.events.envelope import Event
from shared.leads import Leads, Repository
from shared.migrations import migrate
from shared.patience import patiently
from shared.settings import Settings
from shared.timers import TimerHandler, Timers
from shared.watchdog import Watchdog, stop_hard

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI, Request
    from starlette.routing import BaseRoute

S = TypeVar("S")

PARTS = ("api", "consume", "relay")
# A little beside the second by which timers lag behind the clock anyway.
TIMER_SECONDS = 0.2
WATCH_SECONDS = 5
DAYS_SECONDS = 3600
# Longer than `shared.mail.STOP_SECONDS`: a mail in hand may finish.
END_SECONDS = 5.0

logger = structlog.get_logger("service")


@dataclasses.dataclass(frozen=True)
class Service(Generic[S]):
    """One room of Leadline.

    `consumes` maps each event heard to what it does; `timers` each timer's name likewise. `tasks` run beside the
    consumer (a mailer, say), `serving` beside the API (a writer that groups requests). `extras` turns the runtime's
    settings into keyword arguments of `shared.web.build_app`. `equip` is given the runtime once it is made, before
    anything runs: the place to hand settings to the repository.
    """

    name: str
    consumes: Mapping[type[Event], Handler[Any]]
    publishes: tuple[type[Event], ...]
    repository: Callable[[], Repository[S]]
    timers: Mapping[str, TimerHandler[Any]] = dataclasses.field(default_factory=dict[str, TimerHandler[Any]])
    routers: Sequence[APIRouter] = ()
    routes: Sequence[BaseRoute] = ()
    tasks: Sequence[Callable[[Runtime[S]], Awaitable[None]]] = ()
    serving: Sequence[Callable[[Runtime[S]], Awaitable[None]]] = ()
    settings: type[Settings] = Settings
    web: Callable[[Runtime[S]], Mapping[str, Any]] = lambda _runtime: {}
    equip: Callable[[Runtime[S]], None] = lambda _runtime: None


class Runtime(Generic[S]):
    """A declared service with its settings, database and leads, ready to run any of its parts."""

    def __init__(self, service: Service[S], settings: Settings, clock: Clock | None = None) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock or SystemClock()
        self.database = Database(settings.database_url, name=service.name)
        self.leads = Leads(service.name, self.database, service.repository(), self.clock, frozenset(service.publishes))
        self.progress = Progress()
        self.consumer = Consumer(self.leads, service.consumes)
        self.timers = Timers(self.leads, service.timers, self.progress.marks)
        self.prepared = asyncio.Event()
        self.attached: dict[str, Any] = {}
        self._relay_ready: Callable[[], bool] = lambda: True
        service.equip(self)

    def app(self, parts: Sequence[str] = PARTS) -> FastAPI:
        """The service over HTTP. Without the part `api` only health and figures are served."""
        from shared.held import router as held
        from shared.web import build_app

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
            app.state.runtime = self
            async with self.running(parts):
                yield

        serves = "api" in parts
        extras = dict(self.service.web(self)) if serves else {}
        app = build_app(
            self.service.name,
            (*self.service.routers, held) if serves else (),
            routes=self.service.routes if serves else (),
            operator_key=self.settings.api_key,
            keys_file=self.settings.keys_file,
            secret=self.settings.secret,
            lifespan=lifespan,
            ready=self.readiness(parts),
            **extras,
        )
        app.state.runtime = self
        return app

    def readiness(self, parts: Sequence[str]) -> Mapping[str, Callable[[], Awaitable[None]]]:
        async def database() -> None:
            if not self.prepared.is_set():
                raise Unavailable("the tables are not ready")
            async with self.database.connection() as connection:
                await connection.execute("SELECT 1")

        async def expect(is_ready: Callable[[], bool], otherwise: str) -> None:
            if not is_ready():
                raise Unavailable(otherwise)

        checks: dict[str, Callable[[], Awaitable[None]]] = {"database": database}
        if "consume" in parts and self.service.consumes:
            checks["hearing"] = lambda: expect(lambda: self.progress.ready, "not hearing yet")
        if "relay" in parts and self.settings.kafka_bootstrap_servers:
            checks["relay"] = lambda: expect(self._relay_ready, "not publishing yet")
        return checks

    @asynccontextmanager
    async def running(self, parts: Sequence[str] = PARTS) -> AsyncGenerator[None]:
        """Run the background of these parts until the block ends. One that crashes takes the process with it."""
        prepare = partial(patiently, self._prepare, "database_away", self.service.name)
        work = [self._guarded(self.prepared.wait, one) for one in self._background(parts)]
        running = [asyncio.create_task(one) for one in (self._guarded(prepare), *work)]
        watchdog = Watchdog(self.service.name, self.progress)
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()
            await end_all(running)
            await self.database.close()

    def _background(self, parts: Sequence[str]) -> list[Callable[[], Awaitable[None]]]:
        name, service = self.service.name, self.service
        work: list[Callable[[], Awaitable[None]]] = []
        if "api" in parts:
            work += [partial(task, self) for task in service.serving]
        if "consume" in parts:
            work += [partial(task, self) for task in service.tasks]
            if service.timers:
                work.append(lambda: patiently(self._fire_timers, "timers_wait", name))
            if service.consumes:
                work += [self._hear, lambda: patiently(self._watch, "not_looked", name)]
                work.append(lambda: patiently(self.consumer.retry_due, "retry_waits", name))
        if "relay" in parts and (bootstrap := self.settings.kafka_bootstrap_servers):
            work.append(lambda: self._relay(bootstrap))
        return work

    async def _guarded(self, *steps: Callable[[], Awaitable[object]]) -> None:
        try:
            for step in steps:
                await step()
        except Exception:
            logger.exception("crashed", service=self.service.name)
            stop_hard()

    async def _prepare(self) -> float:
        """Bring the tables up to date as soon as the database answers, then keep the log's days ahead of time."""
        if not self.prepared.is_set():
            await self.migrate()
        async with self.database.transaction() as connection:
            await log.ensure_days(connection, self.service.name, SystemClock().now().date())
        self.prepared.set()
        return DAYS_SECONDS

    async def migrate(self) -> None:
        await migrate(self.service.name, self.settings.database_url)

    async def _hear(self) -> None:
        if bootstrap := self.settings.kafka_bootstrap_servers:
            from shared.bus.kafka_hearer import KafkaHearer

            await KafkaHearer(self, bootstrap).run()
        else:
            from shared.bus.postgres import PostgresHearer

            await PostgresHearer(self).run()

    async def _relay(self, bootstrap: str) -> None:
        from shared.bus.kafka import KafkaRelay

        relay = KafkaRelay(self, bootstrap)
        self._relay_ready = lambda: relay.ready
        await relay.run()

    async def _fire_timers(self) -> float:
        self.progress.alive("timers")
        return 0 if await self.timers.fire() else TIMER_SECONDS

    async def _watch(self) -> float:
        """Keep the figures that only looking can tell: how far behind the hearing is, and how many leads are held."""
        name, marks = self.service.name, self.progress.marks
        if marks:
            behind = (self.clock.now() - min(marks.values())).total_seconds()
            metrics.WATERMARK_SECONDS.labels(name).set(behind)
            metrics.CONSUMER_OLDEST.labels(name).set(behind if self.progress.lag else 0)
        async with self.database.connection() as connection:
            held = await connection.fetchval(f"SELECT count(DISTINCT lead_id) FROM {name}.held")
        metrics.HELD_LEADS.labels(name).set(held)
        return WATCH_SECONDS


async def end_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them and wait. It is asked for once more, as some code below has been seen to lose a cancellation."""
    left = set(tasks)
    for _ in range(2):
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=END_SECONDS)
    if left:
        logger.warning("work_abandoned", work=[task.get_name() for task in left])


def runtime_of(request: Request) -> Runtime[Any]:
    """The runtime behind a request, for dependencies."""
    runtime: Runtime[Any] = request.app.state.runtime
    return runtime
