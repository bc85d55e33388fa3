"""The public APIs of the other services, asked in the name of whoever looks at a page of the console.

The console is a client like any other: what a person may not do, no page can do for them. A service that does not
answer is told of in its place on the page.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import httpx
from fastapi import Request

from services.insights.session import Visitor
from services.insights.settings import InsightsSettings
from shared.clock import SystemClock
from shared.errors import Problem
from shared.keys import Role
from shared.security import Sessions, Signer
from shared.trace import traceparent

DEADLINE_SECONDS = 2.0
TOKEN_TIME = timedelta(minutes=10)


class Away(Problem):
    """A service that this page is made of does not answer."""

    status = 502
    title = "No answer"


class Answer(NamedTuple):
    """`problem` says in a sentence why there is no `said`; `status` is 0 when nobody answered."""

    status: int
    said: dict[str, Any]
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class Services:
    def __init__(self, settings: InsightsSettings) -> None:
        self._settings = settings
        self._signer = Sessions(settings.secret).signer
        self._tls = ssl.create_default_context()

    async def get(self, request: Request, service: str, path: str, **query: str) -> Answer:
        return await self.ask(request, service, "GET", path, query)

    async def ask(
        self,
        request: Request,
        service: str,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: object = None,
    ) -> Answer:
        headers = {"Authorization": self._authorization(request), "traceparent": traceparent()}
        address = self._settings.address_of(service)
        try:
            async with (
                asyncio.timeout(DEADLINE_SECONDS),
                httpx.AsyncClient(base_url=address, verify=self._tls, trust_env=False) as client,
            ):
                answer = await client.request(method, path, params=query, json=body, headers=headers)
            said: Any = answer.json() if answer.content else {}
        except (httpx.HTTPError, TimeoutError, ValueError):
            return Answer(0, {}, f"{service.capitalize()} does not answer just now. All else goes on.")
        return Answer(answer.status_code, said, "" if answer.is_success else _why(service, answer.status_code, said))

    def _authorization(self, request: Request) -> str:
        visitor: Visitor = request.state.visitor
        if visitor.role is None:
            return request.headers["authorization"]
        return f"Bearer {session_token(self._signer, visitor.key.id, visitor.role, visitor.key.rep)}"


def _why(service: str, status: int, said: dict[str, Any]) -> str:
    match status:
        case 401 | 403:
            return "This is not for your role."
        case 404:
            return f"{service.capitalize()} knows nothing of it."
        case 503 | 429:
            return f"{service.capitalize()} has too much to do just now. Load the page again in a moment."
        case _:
            return _mistakes(said) or str(said.get("detail", f"{service.capitalize()} could not answer."))


def _mistakes(said: dict[str, Any]) -> str:
    """`name: String should match pattern ...`, for whatever fields are wrong."""
    places = (f"{error.get('pointer', '').strip('/') or 'It'}: {error['detail']}" for error in said.get("errors", ()))
    return "; ".join(places)


def session_token(signer: Signer, account: str, role: Role, rep: UUID | None = None) -> str:
    """Made for one question: it is good for `TOKEN_TIME`, whatever becomes of the account meanwhile."""
    return signer.sign([account, role, str(rep) if rep else None], SystemClock().now() + TOKEN_TIME)


def path_of(*parts: str | UUID) -> str:
    """`/v1/mails/a%2Fb`: what a person typed stays one part of the path."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)
