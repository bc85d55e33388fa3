"""Who may read: the operator with the key, and on an open console whoever sits at this very machine."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.keys import make
from shared.keys import Scope
from shared.service import Runtime
from tests.support.lives import KEY, client, insights
from tests.support.set_clock import SetClock

PAGES = ("/", "/leads", f"/leads/{uuid4()}")
READS = ("/v1/funnel", "/v1/leads", f"/v1/leads/{uuid4()}/timeline")
HERE = {"Host": "127.0.0.1:8005"}


@asynccontextmanager
async def console(
    dsn: str, clock: SetClock, peer: str, mode: str, data_dir: Path = Path(".leadline"), **headers: str
) -> AsyncGenerator[httpx.AsyncClient]:
    runtime: Runtime[Any] = insights(dsn, clock, console=mode, data_dir=data_dir)
    transport = httpx.ASGITransport(app=runtime.app(("api",)), client=(peer, 4711))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8005", headers=headers) as api:
            yield api
    finally:
        await runtime.database.close()


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
async def test_an_open_console_asks_nobody_at_this_machine_for_a_key(
    insights_dsn: str, clock: SetClock, peer: str
) -> None:
    async with console(insights_dsn, clock, peer, "open", **HERE) as api:
        for path in (*PAGES, *READS):
            assert (await api.get(path)).status_code in (200, 404), path
        assert (await api.get(f"/v1/leads/{uuid4()}/export")).status_code == 401
        move = {"to": "sql", "reason": "manual"}
        assert (await api.post(f"/v1/leads/{uuid4()}/stage", json=move)).status_code == 401


@pytest.mark.parametrize(
    ("peer", "mode", "headers"),
    [
        ("127.0.0.1", "key", HERE),
        ("192.0.2.7", "open", HERE),
        ("127.0.0.1", "open", {"Host": "attacker.example"}),
        ("127.0.0.1", "open", {"Host": "127.0.0.1.attacker.example:8005"}),
        ("127.0.0.1", "open", {**HERE, "X-Forwarded-For": "192.0.2.7"}),
        ("127.0.0.1", "open", {**HERE, "Forwarded": "for=192.0.2.7"}),
        ("192.0.2.7", "key", {"Authorization": "Bearer wrong"}),
    ],
    ids=["closed", "from elsewhere", "by a foreign name", "by a like name", "proxied", "proxied anew", "wrong key"],
)
async def test_everybody_else_is_asked(
    insights_dsn: str, clock: SetClock, peer: str, mode: str, headers: dict[str, str]
) -> None:
    async with console(insights_dsn, clock, peer, mode, **headers) as api:
        for path in (*PAGES, *READS, "/v1/stream"):
            answer = await api.get(path)
            assert answer.status_code == 401, path
            asked = answer.headers["www-authenticate"]
            assert asked.startswith("Basic" if path in PAGES else "Bearer")


async def test_a_browser_brings_the_key_as_a_password(insights_dsn: str, clock: SetClock) -> None:
    for password, status in ((KEY, 200), ("wrong", 401), ("", 401)):
        sent = base64.b64encode(f"anyone:{password}".encode()).decode()
        async with console(insights_dsn, clock, "192.0.2.7", "key", Authorization=f"Basic {sent}") as api:
            assert (await api.get("/")).status_code == status
            assert (await api.get("/v1/funnel")).status_code == status
    for nonsense in ("Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Basic"):
        async with console(insights_dsn, clock, "192.0.2.7", "key", Authorization=nonsense) as api:
            assert (await api.get("/")).status_code == 401


@pytest.mark.parametrize("mode", ["key", "open"])
async def test_a_key_with_a_scope_opens_what_that_is_for_also_at_this_machine(
    insights_dsn: str, clock: SetClock, tmp_path: Path, mode: str
) -> None:
    given = {scope: make(tmp_path / "keys.json", scope, [scope], clock.now())[0] for scope in Scope}
    figures, people = ("/v1/funnel", READS[2]), ("/v1/leads", *PAGES)
    for scope, opened, closed in (
        (Scope.read, figures, people),
        (Scope.card, people, figures),
        (Scope.work, (), (*figures, *people)),
    ):
        password = base64.b64encode(f"anyone:{given[scope]}".encode()).decode()
        for sent in (f"Bearer {given[scope]}", f"Basic {password}"):
            headers = {**HERE, "Authorization": sent}
            async with console(insights_dsn, clock, "127.0.0.1", mode, data_dir=tmp_path, **headers) as api:
                assert {(await api.get(path)).status_code for path in opened} <= {200, 404}
                assert {(await api.get(path)).status_code for path in closed} == {403}


async def test_the_operators_key_opens_all(insights_dsn: str, clock: SetClock) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", Authorization=f"Bearer {KEY}") as api:
        for path in (*PAGES, *READS):
            assert (await api.get(path)).status_code in (200, 404), path


async def test_what_needs_no_key_tells_nothing(runtime: Runtime[Any]) -> None:
    async with client(runtime, Host="elsewhere") as api:
        assert (await api.get("/static/console.css")).status_code == 200
        assert (await api.get("/static/insights/home.js")).status_code == 200
        assert (await api.get("/livez")).status_code == 200
