"""A service with every kind of route and failure, on a port of its own: `python tests/support/small_service.py DSN`.

Serves until it is ended; uvicorn's line in the log has the port.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Collection
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.capture.cors import SiteCors
from shared.database import Database, sqlalchemy_url
from shared.errors import Malformed, Refused, Unavailable
from shared.gate import Gate
from shared.keys import Scope
from shared.logs import configure_logs
from shared.security import Bearer
from shared.server import Connection, server
from shared.trace import traceparent
from shared.web import build_app

KEY = "the-operators-key"
READY = {"database": True}


class Activity(BaseModel):
    type: str
    points: int = Field(ge=0)


class Submission(BaseModel):
    email: str
    activities: list[Activity] = []


router = APIRouter(prefix="/v1")


@router.post("/leads")
async def take(submission: Submission) -> Submission:
    return submission


@router.get("/leads/{lead_id}")
async def show(lead_id: str, limit: Annotated[int, Query(le=100)] = 10) -> dict[str, object]:
    return {"lead_id": lead_id, "limit": limit, "traceparent": traceparent()}


@router.get("/owned")
async def owned() -> None:
    raise Refused("Sales owns this lead.", owner="handover")


@router.get("/operators-only", dependencies=[Depends(Bearer(Scope.read))])
async def operators_only() -> dict[str, bool]:
    return {"operator": True}


@router.get("/bug")
async def bug() -> None:
    raise RuntimeError("a secret of the house")


@router.post("/large")
async def large(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/unread")
async def unread() -> dict[str, bool]:
    return {"read": False}


async def raw(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


async def raw_refusal(_request: Request) -> Response:
    raise Malformed(problems=[("/email", "has no domain")])


async def answered_early(_request: Request) -> Response:
    async def stream() -> object:
        yield b"first"
        raise RuntimeError("after the answer has begun")

    return StreamingResponse(stream())


async def embedded(_request: Request) -> Response:
    """A form that pages of others may frame."""
    return Response("form", headers={"Content-Security-Policy": "frame-ancestors *", "Cache-Control": "max-age=60"})


MOST_INSIDE = 300
BUSY = asyncio.Event()


async def busy(_request: Request) -> Response:
    await BUSY.wait()
    return Response("done")


async def at_last(_request: Request) -> Response:
    BUSY.set()
    return Response()


class Databases:
    """One that is there, one that refuses, and one that takes connections and never says a word."""

    def __init__(self, dsn: str, silent_port: int, closed_port: int) -> None:
        self.there = Database(dsn, name="small")
        self.engine = create_async_engine(sqlalchemy_url(dsn))
        self.silent = f"postgresql://u@127.0.0.1:{silent_port}/d"
        self.refusing = f"postgresql://u@127.0.0.1:{closed_port}/d"

    async def refused(self, _request: Request) -> Response:
        await asyncpg.connect(self.refusing, timeout=0.2)
        return Response()

    async def silence(self, _request: Request) -> Response:
        await asyncpg.connect(self.silent, timeout=0.2)
        return Response()

    async def locked(self, _request: Request) -> Response:
        async with self.there.transaction() as connection:
            await connection.execute("SET LOCAL lock_timeout = '100ms'")
            await connection.execute("LOCK TABLE held_by_the_test")
        return Response()

    async def locked_for_sqlalchemy(self, _request: Request) -> Response:
        async with self.engine.begin() as connection:
            await connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
            await connection.execute(text("LOCK TABLE held_by_the_test"))
        return Response()

    async def slow(self, _request: Request) -> Response:
        async with self.there.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '100ms'")
            await connection.execute("SELECT pg_sleep(5)")
        return Response()

    async def wrong(self, _request: Request) -> Response:
        async with self.there.transaction() as connection:
            await connection.fetch("SELECT $1::int", "not a number")
        return Response()


async def allowed_origins(key: str | None) -> Collection[str]:
    return {"https://shop.example.com"} if key in (None, "pk_shop") else ()


async def database_ready() -> None:
    if not READY["database"]:
        raise Unavailable("the database is being moved")


async def never_ready() -> None:
    await asyncio.sleep(60)


def toggle(name: str, value: bool) -> Route:
    async def change(_request: Request) -> Response:
        READY[name] = value
        return Response()

    return Route(f"/test/{name}/{str(value).lower()}", change, methods=["POST"])


def small_app(databases: Databases) -> FastAPI:
    return build_app(
        "small",
        [router],
        operator_key=KEY,
        routes=[
            Route("/raw", raw, methods=["POST"]),
            Route("/raw/refusal", raw_refusal),
            Route("/busy", busy),
            Route("/always/at-last", at_last),
            Route("/answered-early", answered_early),
            Route("/embedded", embedded),
            Route("/database/refused", databases.refused),
            Route("/database/silent", databases.silence),
            Route("/database/locked", databases.locked),
            Route("/database/locked-for-sqlalchemy", databases.locked_for_sqlalchemy),
            Route("/database/slow", databases.slow),
            Route("/database/wrong", databases.wrong),
            toggle("database", True),
            toggle("database", False),
        ],
        ready={"database": database_ready, "bus": lambda: asyncio.sleep(0)},
        body_bytes={"/v1/large": 1_000_000},
        always=("/always",),
        middleware=[Middleware(SiteCors, allowed_origins=allowed_origins, paths=("/v1/leads",))],
    )


async def main(dsn: str) -> None:
    configure_logs("small", console=False)
    Connection.head_seconds, Gate.most = 1.5, MOST_INSIDE
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        app = small_app(Databases(dsn, silent.getsockname()[1], closed.getsockname()[1]))
        web = server(app, "127.0.0.1", 0)
        await web.serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
