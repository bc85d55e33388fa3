"""A service that takes some milliseconds for an answer: `python -m tests.support.slow_service PORT`, until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.server import server
from shared.web import build_app


async def answer(request: Request) -> Response:
    """Slow enough for a stop to fall between the request and its answer."""
    await request.body()
    await asyncio.sleep(0.003)
    return JSONResponse({})


if __name__ == "__main__":
    app = build_app("slow", (), operator_key="key", routes=[Route("/", answer, methods=["POST"])])
    server(app, "127.0.0.1", int(sys.argv[1])).run()
