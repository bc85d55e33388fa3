"""Which key opens which route: what is declared, what is written down, and what the running apps answer are one."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.key_matrix import (
    ANYONE,
    PAGE,
    PASSWORD,
    ROLES,
    SIGNED_LINK,
    SITE_KEY,
    THIS_MACHINE,
    Door,
    apps,
    as_page,
    doors,
    opens,
)
from deploy.keys import make
from deploy.topic_map import declared
from services.insights.services import session_token
from shared.clock import SystemClock
from shared.events.topics import SERVICES
from shared.keys import Role, Scope
from shared.security import Bearer, Sessions, opened_by
from shared.service import Runtime
from shared.settings import Settings
from shared.web import build_app
from tests.support.servers import Databases

OPERATOR = "the-operators-key"
SECRET = "what-all-services-share"
SITE = {"X-Site-Key": "pk_demo"}
REFUSED = {401, 403}
# What a caller sends who knows how; elsewhere an empty object, which is looked at after the key is.
BODIES: Mapping[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/leads"): {"email": "mara@norrvik-logistics.com"},
    ("POST", "/v1/activities"): {"activities": [{"type": "page_viewed", "visitor_id": "v-1"}]},
}


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said


class Apps(NamedTuple):
    """The five apps as they run, keys for them by scope, and the tokens of people who signed in by role."""

    apps: dict[str, FastAPI]
    keys: dict[Scope, str]
    sessions: dict[Role, str]

    async def ask(self, door: Door, headers: Mapping[str, str], client: str = "192.0.2.7") -> Answer:
        body = json.dumps(BODIES.get((door.method, door.path), {})).encode() if door.method != "GET" else b""
        return await ask(self.apps[door.service], door.method, filled(door.path), headers, body, client)


def filled(path: str) -> str:
    given = {"lead_id": uuid4(), "erasure_id": uuid4(), "submission_id": uuid4(), "rep_id": uuid4()}
    return path.format(
        **given, token="made.up", name="nothing", key="pk_nothing", deed="skip", file="nothing.css", address="nothing"
    )


async def ask(app: FastAPI, method: str, path: str, headers: Mapping[str, str], body: bytes, client: str) -> Answer:
    """The answer, of a stream its beginning."""
    sent: list[Any] = []
    begun, over = asyncio.Event(), asyncio.Event()
    given = {"Host": "leads.example.com", "Content-Type": "application/json", **headers}
    given |= {"Content-Length": str(len(body))} if body else {}
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": (client, 4711), "server": ("leads.example.com", 80),
    }  # fmt: skip
    bodies = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if bodies:
            return bodies.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        begun.set()

    answering = asyncio.create_task(app(scope, receive, send))
    try:
        async with asyncio.timeout(10):
            await asyncio.wait({answering, asyncio.create_task(begun.wait())}, return_when="FIRST_COMPLETED")
            if not any(b"event-stream" in value for _, value in sent[0]["headers"]):
                await answering
    finally:
        over.set()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture(scope="module")
async def running(fresh_database: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apps]:
    folder = tmp_path_factory.mktemp("keys")
    now = SystemClock().now()
    keys = {scope: make(folder / "keys.json", scope, [scope], now)[0] for scope in Scope}
    given = {"database_url": fresh_database(), "api_key": OPERATOR, "data_dir": folder, "given_secret": SECRET}
    signer = Sessions(Settings.model_validate(given).secret).signer
    sessions = {role: session_token(signer, "a_1", role, uuid4() if role is Role.rep else None) for role in ROLES}
    async with AsyncExitStack() as stack:
        made: dict[str, FastAPI] = {}
        for name, service in declared().items():
            own = {"capture": {"demo_site": True}, "insights": {"services_url": "http://127.0.0.1:1"}}.get(name, {})
            runtime = Runtime(service, service.settings.model_validate(given | own))
            made[name] = runtime.app(("api",))
            await stack.enter_async_context(made[name].router.lifespan_context(made[name]))
            await asyncio.wait_for(runtime.prepared.wait(), 60)
        yield Apps(made, keys, sessions)


DECLARED = {name: doors(name, app) for name, app in apps().items()}
EVERY = [door for found in DECLARED.values() for door in found]
GUARDED = [door for door in EVERY if set(door.opened_by) & set(Scope)]
BY_PASSWORD = [door for door in EVERY if PASSWORD in door.opened_by]


def named(door: Door) -> str:
    return f"{door.service} {door.method} {door.path}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def scope_of(door: Door) -> Scope:
    (scope,) = set(door.opened_by) & set(Scope)
    return Scope(scope)


def test_the_page_says_what_the_routes_declare() -> None:
    assert PAGE.read_text() == as_page(DECLARED), "`python -m deploy.key_matrix` writes docs/keys.md anew"


def test_every_route_says_who_may_ask_it() -> None:
    assert list(DECLARED) == list(SERVICES)
    assert [named(door) for door in EVERY if not door.opened_by] == []
    assert {scope_of(door) for door in GUARDED} == set(Scope)
    # What needs no key is said here once more, so that nothing comes to it unnoticed.
    everywhere = {"/livez", "/readyz", "/metrics", "/docs", "/docs/{file}", "/openapi.json", "/static/{file}"}
    own = {"/static/capture/{file}", "/static/nurture/{file}", "/static/handover/{file}", "/static/insights/{file}"}
    demo = {"/", "/demo", "/demo/thanks", "/demo/form", "/thanks"}
    console = {"/sign-in", "/{address}"}
    assert {door.path for door in EVERY if ANYONE in door.opened_by} == everywhere | own | demo | console
    assert [named(door) for door in BY_PASSWORD] == ["insights POST /sign-in", "insights POST /sign-out"]
    assert all(door.method == "GET" for door in EVERY if ANYONE in door.opened_by)


async def test_a_route_that_declares_nothing_is_noticed() -> None:
    router = APIRouter()

    @router.get("/guarded", dependencies=[Depends(Bearer(Scope.read))])
    @router.get("/open")
    async def forgotten() -> None: ...

    async def plain(_request: Request) -> Response:
        return Response()

    @opened_by("whoever asks nicely")
    async def misspelt(_request: Request) -> Response:
        return Response()

    app = build_app("small", [router], operator_key=OPERATOR, routes=[Route("/plain", plain)])
    assert [door.path for door in doors("small", app) if not door.opened_by] == ["/plain", "/open"]
    with pytest.raises(ValueError, match="misspelt declares"):
        doors("small", build_app("small", operator_key=OPERATOR, routes=[Route("/misspelt", misspelt)]))


@pytest.mark.parametrize("door", GUARDED, ids=named)
async def test_a_route_with_a_scope_opens_to_that_scope_and_the_operator_alone(running: Apps, door: Door) -> None:
    for headers in ({}, bearer("wrong"), bearer("pk_demo"), bearer(""), {"Authorization": f"Basic {OPERATOR}"}):
        assert (await running.ask(door, headers)).status == 401, headers
    for scope, key in running.keys.items():
        answer = await running.ask(door, bearer(key))
        if scope == scope_of(door):
            assert answer.status not in REFUSED | {500, 503}, answer
        else:
            assert (answer.status, answer.problem["missing_scope"]) == (403, scope_of(door)), scope
    assert (await running.ask(door, bearer(OPERATOR))).status not in REFUSED | {500, 503}
    by_site_key = (await running.ask(door, SITE)).status
    assert (by_site_key not in REFUSED) if SITE_KEY in door.opened_by else (by_site_key == 401)


@pytest.mark.parametrize("door", GUARDED, ids=named)
async def test_a_route_with_a_scope_opens_to_the_roles_that_have_it(running: Apps, door: Door) -> None:
    for role, token in running.sessions.items():
        status = (await running.ask(door, bearer(token))).status
        if opens(role, door):
            assert status not in REFUSED | {500, 503}, role
        else:
            assert status == 403, role


async def test_only_a_token_that_was_signed_with_the_secret_of_the_installation_opens_anything(running: Apps) -> None:
    door = Door("scoring", "GET", "/v1/rules", ())
    forged = session_token(Sessions(b"another").signer, "a_1", Role.operator)
    body, _, signature = running.sessions[Role.rep].rpartition(".")
    grown = f"{running.sessions[Role.operator].rpartition('.')[0]}.{signature}"
    for token in (forged, grown, body):
        assert (await running.ask(door, bearer(token))).status == 401
    assert (await running.ask(door, bearer(running.sessions[Role.operator]))).status == 200


@pytest.mark.parametrize("door", [door for door in EVERY if door not in (*GUARDED, *BY_PASSWORD)], ids=named)
async def test_a_route_without_one_answers_every_key_alike(running: Apps, door: Door) -> None:
    kinds = [{}, bearer("wrong"), bearer(OPERATOR), SITE, *map(bearer, running.keys.values())]
    kinds += map(bearer, running.sessions.values())
    answers = [(await running.ask(door, headers)).status for headers in kinds]
    assert len(set(answers)) == 1
    assert answers[0] not in REFUSED
    # A link that nobody has signed, and a machine that is not this one, find nothing.
    if {SIGNED_LINK, THIS_MACHINE} & set(door.opened_by):
        assert answers[0] == 404


@pytest.mark.parametrize("door", BY_PASSWORD, ids=named)
async def test_no_key_stands_for_a_password(running: Apps, door: Door) -> None:
    for headers in ({}, bearer(OPERATOR), SITE, *map(bearer, running.sessions.values())):
        assert (await running.ask(door, headers)).status == 403


async def test_a_server_with_a_key_for_posting_learns_whom_it_posted_and_a_site_does_not(running: Apps) -> None:
    door = Door("capture", "POST", "/v1/leads", ())
    assert set((await running.ask(door, SITE)).problem) == {"submission_id"}
    for key in (running.keys[Scope.post], OPERATOR):
        answer = await running.ask(door, bearer(key))
        assert (answer.status, set(answer.problem)) == (202, {"submission_id", "lead_id", "created"})


async def test_the_same_idempotency_key_of_two_holders_are_two(running: Apps, tmp_path: Path) -> None:
    door = Door("capture", "POST", "/v1/leads", ())
    once = {"Idempotency-Key": secrets.token_hex(8)}
    first, again, other, site = [
        (await running.ask(door, headers | once)).problem["submission_id"]
        for headers in (bearer(running.keys[Scope.post]), bearer(running.keys[Scope.post]), bearer(OPERATOR), SITE)
    ]
    assert first == again
    assert len({first, other, site}) == 3
