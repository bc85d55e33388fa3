"""Who may read: whoever has a key or signed in, and on an open console whoever sits at this very machine."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.accounts import add, remove, set_password
from deploy.keys import make
from services.insights import attempts
from services.insights.services import session_token
from shared.keys import Role, Scope
from shared.security import Sessions
from shared.service import Runtime
from tests.support.lives import KEY, client, insights
from tests.support.pages import Page
from tests.support.set_clock import SetClock

PAGES = ("/", "/leads", f"/leads/{uuid4()}")
READS = ("/v1/funnel", "/v1/leads", f"/v1/leads/{uuid4()}/timeline")
HERE = {"Host": "127.0.0.1:8005"}
OURS = {"Origin": "http://127.0.0.1:8005", "Sec-Fetch-Site": "same-origin"}
PASSWORD = "a quiet lake in May"


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
            assert asked == "Bearer"
            if path in PAGES and "Authorization" not in headers:
                assert Page.of(answer.text).fields()["to"].attributes["value"] == path


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
        headers = {**HERE, "Authorization": f"Bearer {given[scope]}"}
        async with console(insights_dsn, clock, "127.0.0.1", mode, data_dir=tmp_path, **headers) as api:
            assert {(await api.get(path)).status_code for path in opened} <= {200, 404}
            assert {(await api.get(path)).status_code for path in closed} == {403}


async def test_the_operators_key_opens_all(insights_dsn: str, clock: SetClock) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", Authorization=f"Bearer {KEY}") as api:
        for path in (*PAGES, *READS):
            assert (await api.get(path)).status_code in (200, 404), path


async def test_what_needs_no_key_tells_nothing(runtime: Runtime[Any]) -> None:
    async with client(runtime, Host="elsewhere") as api:
        assert (await api.get("/static/insights/console.css")).status_code == 200
        assert (await api.get("/static/insights/home.js")).status_code == 200
        assert (await api.get("/livez")).status_code == 200


async def sign_in(api: httpx.AsyncClient, name: str, password: str, **changes: str) -> httpx.Response:
    form = {"name": name, "password": password, "to": changes.pop("to", "/")}
    return await api.post("/sign-in", data=form, headers={**OURS, **changes})


@pytest.fixture
def accounts(tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one account of each role, whose passwords are hashed in no time."""
    monkeypatch.setattr("services.insights.accounts.COST", 2)
    file = tmp_path / "accounts.json"
    add(file, "hanne", PASSWORD, Role.lead_manager, None, clock.now())
    add(file, "marek", PASSWORD, Role.marketer, None, clock.now())
    add(file, "daniel", PASSWORD, Role.rep, uuid4(), clock.now())
    return file


async def test_who_signs_in_is_known_from_then_on_and_after_signing_out_is_not(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        answer = await sign_in(api, "Hanne", PASSWORD, to="/leads?q=mara")
        assert (answer.status_code, answer.headers["location"]) == (303, "/leads?q=mara")
        cookie = answer.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
        for path in (*PAGES, *READS):
            assert (await api.get(path)).status_code in (200, 404), path
        assert "hanne" in (await api.get("/leads")).text
        assert (await api.post(f"/v1/leads/{uuid4()}/stage", json={})).status_code == 401, "a cookie is no key"
        assert (await api.post("/sign-out", headers=OURS)).status_code == 303
        assert (await api.get("/leads")).status_code == 401


async def test_signing_out_ends_the_session_also_for_whoever_has_a_copy_of_its_cookie(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        await sign_in(api, "hanne", PASSWORD)
        copied = {"Cookie": f"leadline={api.cookies['leadline']}"}
        async with console(insights_dsn, clock, "192.0.2.9", "key", accounts.parent) as thief:
            assert (await thief.get("/v1/funnel", headers=copied)).status_code == 200
        await api.post("/sign-out", headers=OURS)
        async with console(insights_dsn, clock, "192.0.2.9", "key", accounts.parent) as thief:
            for process in (thief, api):
                assert (await process.get("/v1/funnel", headers=copied)).status_code == 401
        await sign_in(api, "hanne", PASSWORD)
        assert (await api.get("/v1/funnel")).status_code == 200, "she may come again"


async def test_the_operators_key_is_the_password_of_the_operator(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        assert (await sign_in(api, "operator", PASSWORD)).status_code == 403
        assert (await sign_in(api, "operator", KEY)).status_code == 303
        assert (await api.get("/")).status_code == 200


async def test_a_session_ends_with_its_time_its_password_and_its_account(
    insights_dsn: str, clock: SetClock, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.keys.LOOK_SECONDS", 0.0)
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        for ending in (
            lambda: clock.advance(timedelta(hours=12, minutes=1)),
            lambda: set_password(accounts, "hanne", PASSWORD),
            lambda: remove(accounts, "hanne"),
        ):
            assert (await sign_in(api, "hanne", PASSWORD)).status_code == 303
            assert (await api.get("/v1/funnel")).status_code == 200
            ending()
            assert (await api.get("/v1/funnel")).status_code == 401


async def test_each_role_opens_its_pages_and_no_others(insights_dsn: str, clock: SetClock, accounts: Path) -> None:
    for name, opened, closed in (
        ("marek", {"/", "/leads", "/mails"}, set[str]()),
        ("daniel", set[str](), {"/leads", "/mails", "/v1/funnel", "/v1/leads"}),
    ):
        async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
            await sign_in(api, name, PASSWORD)
            assert {(await api.get(path)).status_code for path in opened} <= {200}
            assert {(await api.get(path)).status_code for path in closed} <= {403}


async def test_wrong_names_and_wrong_passwords_are_answered_alike_and_cost_the_same(
    insights_dsn: str, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path / "accounts.json", "hanne", PASSWORD, Role.lead_manager, None, clock.now())
    hashed: list[dict[str, Any]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **costs: Any) -> bytes:
        hashed.append({name: costs[name] for name in ("n", "r", "p", "dklen")})
        return scrypt(password, **costs)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    async with console(insights_dsn, clock, "192.0.2.7", "key", tmp_path) as api:
        said: set[tuple[int, str]] = set()
        for name in ("hanne", "nobody"):
            answer = await sign_in(api, name, "a guess of somebody")
            said.add((answer.status_code, answer.text.replace(name, "")))
            assert "set-cookie" not in answer.headers
        assert len(said) == 1
    assert len(hashed) == 2
    assert hashed[0] == hashed[1]


async def test_guessing_is_slow_and_locks_nobody_out_who_is_elsewhere(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        for _ in range(attempts.MOST_OF_BOTH):
            assert (await sign_in(api, "operator", "a guess")).status_code == 403
        refused = await sign_in(api, "operator", KEY)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= attempts.WINDOW_SECONDS + 1
        assert (await sign_in(api, "hanne", PASSWORD)).status_code == 303
    async with console(insights_dsn, clock, "192.0.2.8", "key", accounts.parent) as elsewhere:
        assert (await sign_in(elsewhere, "operator", KEY)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://attacker.example", "Sec-Fetch-Site": ""},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8005", "Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_a_form_on_another_page_signs_nobody_in_or_out(
    insights_dsn: str, clock: SetClock, accounts: Path, headers: dict[str, str]
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        assert (await sign_in(api, "hanne", PASSWORD, **headers)).status_code == 403
        assert (await api.get("/")).status_code == 401
        await sign_in(api, "hanne", PASSWORD)
        assert (await api.post("/sign-out", headers=headers)).status_code == 403
        assert (await api.get("/")).status_code == 200


async def test_a_page_that_cannot_be_shown_says_so_as_a_page_and_where_to_sign_in(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    async with console(insights_dsn, clock, "127.0.0.1", "open", accounts.parent) as api:
        cut_off = await api.get("/leads/01a202fd-753d")
        assert (cut_off.status_code, cut_off.headers["content-type"][:9]) == (404, "text/html")
        assert "There is no such page." in cut_off.text
        refused = await api.get("/held")
        assert refused.status_code == 403
        assert 'href="/sign-in?to=%2Fheld"' in refused.text
        await sign_in(api, "hanne", PASSWORD)
        assert "/sign-in" not in (await api.get("/held")).text, "she has done so already"


async def test_an_address_that_there_is_none_of_is_a_page_to_a_browser_and_a_problem_to_a_program(
    insights_dsn: str, clock: SetClock, accounts: Path
) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        stranger = await api.get("/reports", headers=browser)
        assert (stranger.status_code, "Password" in stranger.text) == (401, True)
        for name in ("hanne", "daniel"):
            await sign_in(api, name, PASSWORD)
            # The second is where a form leads that was refused, and is then asked for again.
            for address in ("/reports", f"/leads/{uuid4()}/accept", "/leads/", "/v2"):
                lost = await api.get(address, headers=browser)
                assert (lost.status_code, lost.headers["content-type"][:9]) == (404, "text/html"), address
                assert "no page at this address" in lost.text
                assert 'href="/worklist"' in lost.text, "there is a way on"
        for address, headers in (("/reports", {}), ("/v1/reports", browser), ("/v1", browser), ("/static/x", browser)):
            problem = await api.get(address, headers=headers)
            assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json"), address


@pytest.mark.parametrize("there", ["https://attacker.example/", "//attacker.example", "/\\attacker.example", "x", ""])
async def test_signing_in_leads_to_no_other_site(
    insights_dsn: str, clock: SetClock, accounts: Path, there: str
) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        assert (await sign_in(api, "operator", KEY, to=there)).headers["location"] == "/"


async def test_behind_https_the_cookie_travels_no_other_way(insights_dsn: str, clock: SetClock, accounts: Path) -> None:
    runtime = insights(insights_dsn, clock, data_dir=accounts.parent, insights_public_url="https://leads.example")
    transport = httpx.ASGITransport(app=runtime.app(("api",)))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside:8005") as api:
        answer = await sign_in(api, "operator", KEY, Origin="https://leads.example")
    assert answer.headers["set-cookie"].startswith("__Host-leadline=")
    assert "Secure" in answer.headers["set-cookie"]
    await runtime.database.close()


async def test_a_cookie_is_no_token_and_a_token_no_cookie(insights_dsn: str, clock: SetClock, accounts: Path) -> None:
    async with console(insights_dsn, clock, "192.0.2.7", "key", accounts.parent) as api:
        await sign_in(api, "operator", KEY)
        cookie = api.cookies["leadline"]
        assert (await api.get("/v1/funnel", headers={"Authorization": f"Bearer {cookie}"})).status_code == 401
        runtime = insights(insights_dsn, clock)
        token = session_token(Sessions(runtime.settings.secret).signer, "operator", Role.operator)
        await runtime.database.close()
        api.cookies.clear()
        api.cookies.set("leadline", token)
        assert (await api.get("/v1/funnel")).status_code == 401
        api.cookies.clear()
        assert (await api.get("/v1/funnel", headers={"Authorization": f"Bearer {token}"})).status_code == 200
