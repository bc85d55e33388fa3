"""When the database is away, slow or refuses one of many, nobody is told 202 for what is not stored."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import structlog

from deploy.postgres import EmbeddedPostgres
from services.capture import intake
from services.capture.acceptance import Ask
from services.capture.app import service
from services.capture.settings import CaptureSettings
from shared.service import Runtime
from tests.support.capturing import KEY, OPERATOR, SITE, Capturing, at_once, capturing

pytestmark = pytest.mark.usefixtures("soon_told")


async def timed(post: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return await post, time.monotonic() - began


@asynccontextmanager
async def locked(dsn: str) -> AsyncGenerator[None]:
    """Nobody can be recognised while this lasts."""
    blocker = await asyncpg.connect(dsn)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE capture.identity IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await blocker.close()


def server_processes(server: EmbeddedPostgres) -> list[int]:
    main = int((server.data_dir / "postmaster.pid").read_text().split()[0])
    children = subprocess.run(["pgrep", "-P", str(main)], capture_output=True, text=True, check=True).stdout
    return [main, *map(int, children.split())]


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that this test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="leadline-test-"))
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


async def test_a_database_that_cannot_be_reached_is_told_with_503_within_a_second(capture: Capturing) -> None:
    await capture.post(email="known@norrvik.example")
    await capture.runtime.database.close()
    capture.runtime.database.url = "postgresql://nobody@127.0.0.1:1/nothing"
    capture.runtime.database._pool = None
    answers = await asyncio.gather(*(timed(capture.post(email=f"p{n}@norrvik.example")) for n in range(10)))
    assert {answer.status_code for answer, _ in answers} == {503}
    assert {answer.headers["retry-after"] for answer, _ in answers} == {"1"}
    assert max(seconds for _, seconds in answers) < 1.0


async def test_a_database_that_was_never_there_is_told_as_well() -> None:
    settings = CaptureSettings(database_url="postgresql://nobody@127.0.0.1:1/nothing", api_key=KEY)
    runtime = Runtime(service, settings)
    app = runtime.app(("api",))
    async with runtime.running(("api",)):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://capture.test") as client:
            answer, seconds = await timed(client.post("/v1/leads", json={"email": "a@b.example"}, headers=OPERATOR))
    assert answer.status_code == 503
    assert seconds < 2.0


async def test_a_database_that_is_slow_is_waited_for(capture: Capturing, dsn: str) -> None:
    await capture.post(email="known@norrvik.example")
    async with locked(dsn):
        post = asyncio.ensure_future(capture.post(email="mara@norrvik.example"))
        await asyncio.sleep(1.5)
        assert not post.done()
    assert (await post).status_code == 202


async def test_nobody_waits_longer_than_the_deadline_and_what_comes_after_it_is_not_doubled(dsn: str) -> None:
    headers = {**OPERATOR, "Idempotency-Key": "k"}
    async with capturing(dsn, deadline_seconds=0.7) as capture:
        async with locked(dsn):
            answer, seconds = await timed(capture.post(headers, email="mara@norrvik.example"))
            assert answer.status_code == 503
            assert seconds < 1.0
        again = await capture.post(headers, email="mara@norrvik.example")
        assert again.status_code == 202
        assert await capture.value("SELECT count(*) FROM capture.submission") == 1


async def test_a_database_that_hangs_is_told_within_a_second(own_server: EmbeddedPostgres) -> None:
    async with capturing(own_server.dsn()) as capture:
        assert (await capture.post(email="known@norrvik.example")).status_code == 202
        processes = server_processes(own_server)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(timed(capture.post(email=f"p{n}@norrvik.example")) for n in range(10)))
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        assert {answer.status_code for answer, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < 1.5


async def test_more_than_may_wait_are_turned_away_at_once_and_one_site_leaves_room_for_the_others(dsn: str) -> None:
    async with capturing(dsn, most_waiting=20) as capture:
        async with locked(dsn):
            storm = [asyncio.create_task(capture.post(email=f"p{n}@norrvik.example")) for n in range(30)]
            await answered(storm, 20)
            others = [asyncio.create_task(capture.post(OPERATOR, email=f"o{n}@norrvik.example")) for n in range(8)]
            await asyncio.sleep(0.1)
            second = [asyncio.create_task(capture.post(OPERATOR, email=f"t{n}@norrvik.example")) for n in range(5)]
            await answered(second, 3)
            # Who is turned away is told while nobody can be served; all others wait.
            turned_away = [task.result() for task in storm if task.done()]
            assert not any(task.done() for task in others)
        answers = await asyncio.gather(*storm)
        assert {answer.status_code for answer in await asyncio.gather(*others)} == {202}
        assert sorted(answer.status_code for answer in await asyncio.gather(*second)) == [202, 202, 503, 503, 503]
    assert [answer.status_code for answer in turned_away] == [429] * 20
    assert {answer.headers["retry-after"] for answer in turned_away} == {"1"}
    assert sum(answer.status_code == 202 for answer in answers) == 10


async def answered(tasks: Sequence[asyncio.Task[httpx.Response]], count: int) -> None:
    """Wait until so many of them have an answer."""
    async with asyncio.timeout(20):
        while sum(task.done() for task in tasks) < count:
            await asyncio.sleep(0.005)


AS_IT_IS_WRITTEN = ("ALTER TABLE capture.submission ADD CONSTRAINT not_this_one CHECK (body NOT LIKE '%culprit%')",)
AS_IT_IS_COMMITTED = (
    """CREATE FUNCTION capture.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.body LIKE '%culprit%' THEN RAISE 'not this one' USING ERRCODE = 'check_violation'; END IF;
        RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER not_this_one AFTER INSERT ON capture.submission DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION capture.refuse()""",
)


@pytest.mark.parametrize("refusing", [AS_IT_IS_WRITTEN, AS_IT_IS_COMMITTED], ids=["written", "committed"])
async def test_one_that_the_database_refuses_fails_alone(own_dsn: str, refusing: Sequence[str]) -> None:
    async with capturing(own_dsn) as capture:
        for statement in refusing:
            await capture.fetch(statement)
        with structlog.testing.capture_logs() as logs:
            answers = await at_once(
                *(capture.post(OPERATOR, email=f"p{n}@norrvik.example") for n in range(20)),
                capture.post(OPERATOR, email="culprit@norrvik.example"),
                *(capture.post(OPERATOR, email=f"q{n}@norrvik.example") for n in range(20)),
            )
        assert [entry["event"] for entry in logs] == ["request failed"]
        assert [answer.status_code for answer in answers] == [202] * 20 + [500] + [202] * 20
        assert await capture.value("SELECT count(*) FROM capture.lead") == 40
        assert await capture.value("SELECT count(*) FROM capture.identity") == 40
        log = await capture.value("SELECT count(*) FROM bus.capture_log WHERE topic = 'leads.activity'")
        assert log == 40


async def test_a_commit_whose_answer_is_lost_is_found_again_and_not_made_twice(
    capture: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = intake.accept
    lost = asyncio.Event()

    async def losing(leads: Any, connection: Any, asks: Sequence[Ask], *rest: Any, **named: Any) -> Any:
        verdicts = await whole(leads, connection, asks, *rest, **named)
        if not lost.is_set():
            lost.set()
            await connection.execute("COMMIT")
            # Longer than anybody is tried again who was refused by a database that is away.
            await asyncio.sleep(2 * intake.RETRY_SECONDS)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return verdicts

    monkeypatch.setattr(intake, "accept", losing)
    answers = await at_once(*(capture.post(OPERATOR, email=f"p{n}@norrvik.example") for n in range(5)))
    assert lost.is_set()
    assert [answer.status_code for answer in answers] == [202] * 5
    assert [answer.json()["created"] for answer in answers] == [True] * 5
    assert await capture.value("SELECT count(*) FROM capture.submission") == 5
    assert await capture.value("SELECT count(*) FROM bus.capture_log WHERE topic = 'leads.activity'") == 5


async def test_connections_that_were_cut_are_replaced_without_turning_anybody_away(capture: Capturing) -> None:
    for turn in range(3):
        await at_once(*(capture.post(email=f"p{n}@norrvik.example") for n in range(10)))
        admin = await asyncpg.connect(capture.runtime.database.url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leadline-capture'"
        )
        await admin.close()
        answers = await at_once(*(capture.post(email=f"t{turn}n{n}@norrvik.example") for n in range(10)))
        assert {answer.status_code for answer in answers} == {202}


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(capture: Capturing) -> None:
    large = b'{"email": "m@norrvik.example", "message": "' + b"x" * 70_000 + b'"}'
    answer = await capture.client.post("/v1/leads", content=large, headers=SITE)
    assert answer.status_code == 413
