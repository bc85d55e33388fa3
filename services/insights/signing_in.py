"""Signing in to the console, and out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from services.insights.access import signed_in_of
from services.insights.accounts import MOST_CHARACTERS
from services.insights.attempts import Attempts
from services.insights.frame import sign_in_page
from services.insights.session import SIGNED_IN_FOR, FromElsewhere
from services.insights.signed_out import SignedOut
from shared.keys import Role
from shared.security import opened_by
from shared.service import runtime_of

router = APIRouter(include_in_schema=False)

# Each try holds 16 MB and a processor for a third of a second, however many wait.
_one_by_one = asyncio.Semaphore(2)
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\s]*", re.ASCII)
WRONG = "Name and password do not go together. Check both; capitals count in the password."
FOREIGN = "This form came from another page. Please sign in here."


@router.get("/sign-in")
@opened_by("anyone")
async def ask(request: Request, to: str = "/") -> Response:
    return sign_in_page(request, _own_path(to), 200)


@router.post("/sign-in")
@opened_by("a password")
async def sign_in(request: Request) -> Response:
    """Answers the same, after the same time, for a wrong password and a name that nobody has."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    name, password, there = (form.get(field, [""])[0] for field in ("name", "password", "to"))
    name, there = name.strip()[:MOST_CHARACTERS], _own_path(there)
    signed_in = signed_in_of(request)
    try:
        signed_in.check_origin(request)
    except FromElsewhere:
        return sign_in_page(request, there, 403, name, FOREIGN)
    attempts: Attempts = runtime_of(request).attached["attempts"]
    asked = name.casefold(), request.client.host if request.client else ""
    if wait := attempts.begin(*asked, time.monotonic()):
        tell = f"That was wrong too often. Try again in {-(-wait // 60)} min; who is signed in stays so."
        return sign_in_page(request, there, 429, name, tell, wait)
    async with _one_by_one:
        account = await asyncio.to_thread(signed_in.accounts.enter, name, password)
    if account is None:
        return sign_in_page(request, there, 403, name, WRONG)
    attempts.succeeded(*asked)
    answer = RedirectResponse("/worklist" if account.role is Role.rep and there == "/" else there, 303)
    signed_in.remember(answer, account, secrets.token_urlsafe(16), runtime_of(request).clock.now())
    return answer


@router.post("/sign-out")
@opened_by("a password")
async def sign_out(request: Request) -> Response:
    signed_in = signed_in_of(request)
    signed_in.check_origin(request)
    now = runtime_of(request).clock.now()
    if session := signed_in.session(request, now):
        signed_out: SignedOut = runtime_of(request).attached["signed_out"]
        await signed_out.add(session.id, now + SIGNED_IN_FOR, now)
    answer = RedirectResponse("/sign-in", 303)
    signed_in.forget(answer)
    return answer


def _own_path(given: str) -> str:
    """Nobody is sent to another site from here."""
    return given if _OWN_PATH.fullmatch(given) else "/"
