"""How an error is said over HTTP: one problem document (RFC 9457) for each kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any

import asyncpg
import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.database import is_transient
from shared.errors import Malformed, Problem, Unavailable

MEDIA_TYPE = "application/problem+json"
MOST_PROBLEMS = 50  # a body of a thousand wrong activities need not come back as a thousand sentences

_MEMBERS = frozenset({"type", "title", "status", "detail", "headers"})


def problem(
    status: int,
    title: str | None = None,
    detail: str | None = None,
    type: str = "about:blank",  # noqa: A002 - the member's name in the RFC
    headers: Mapping[str, str] | None = None,
    **extra: object,
) -> Response:
    """A problem document. `problem(409, detail="Sales owns this lead.", owner="handover")`; `extra` become members."""
    members = {"type": type, "title": title or responses.get(status, "Error"), "status": status}
    if detail:
        members["detail"] = detail
    body = msgspec.json.encode({**extra, **members})
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def answer_to(error: Exception) -> Response:
    """The answer an error gets at the edge. What is none of ours is a bug: 500, and nothing of it is told."""
    if is_transient(error) and not isinstance(error, Problem):
        error = Unavailable()
    match error:
        case Problem():
            return _said(error)
        case asyncpg.CharacterNotInRepertoireError():
            return _said(Malformed("A text in it holds the character U+0000, which cannot be kept."))
        case RequestValidationError():
            return problem(422, Malformed.title, "Some values cannot be read.", _kind(Malformed), errors=_places(error))
        case HTTPException():
            detail = None if error.detail == responses.get(error.status_code) else error.detail
            return problem(error.status_code, detail=detail, headers=error.headers)
        case _:
            return problem(500, Problem.title, "Something failed here. It has been noted.")


async def answer(_request: Request, error: Exception) -> Response:
    """`answer_to` in the shape of an exception handler of Starlette."""
    return answer_to(error)


def _said(error: Problem) -> Response:
    extra = {name: value for name, value in error.extra.items() if name not in _MEMBERS}
    headers: dict[str, str] = {}
    if isinstance(error, Malformed) and error.problems:
        extra["errors"] = [{"pointer": pointer, "detail": why} for pointer, why in error.problems[:MOST_PROBLEMS]]
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.status, error.title, error.detail, _kind(type(error)), headers, **extra)


def _places(error: RequestValidationError) -> list[dict[str, str]]:
    """What is wrong and where: a JSON pointer (RFC 6901) into the body, else the name of the parameter."""
    found: list[Mapping[str, Any]] = list(error.errors())[:MOST_PROBLEMS]
    places: list[dict[str, str]] = []
    for one in found:
        source, *path = one["loc"] or ("body",)
        why = f"{one['msg']} at character {path.pop()}" if one["type"] == "json_invalid" else str(one["msg"])
        where = {"pointer": _pointer(path)} if source == "body" else {"parameter": ".".join(map(str, path))}
        places.append({**where, "in": str(source), "detail": why.removeprefix("Value error, ")})
    return places


def _pointer(path: Iterable[object]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _kind(word: type[Problem]) -> str:
    """A stable name programs can compare: `urn:leadline:problem:not-found`."""
    return "urn:leadline:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", word.__name__).lower()
