"""The mails that were kept as files because no mail server is set, for whoever tries Leadline on their own machine.

They are personal data and a browser has no key to show, so they are shown only where `NURTURE_MAIL_PAGE` says so, no
mail server is set, and the reader sits at this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from services.nurture.settings import NurtureSettings
from shared.errors import NotFound
from shared.events.topics import SERVICES
from shared.pages.navigation import Console, console
from shared.security import opened_by
from shared.service import runtime_of

PER_PAGE = 50
_NAME = re.compile(r"\w[\w.@-]{0,200}", re.ASCII)
_LOCAL_HOST = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


def routes(pages: Environment) -> list[BaseRoute]:
    @opened_by("this machine")
    async def mails(request: Request) -> Response:
        settings = _settings_for(request)
        first = _number(request.query_params.get("after", "0"))
        found = await asyncio.to_thread(_newest, settings.kept_mails, first, PER_PAGE + 1)
        return HTMLResponse(
            pages.get_template("mails.html").render(
                console=_console(settings),
                now=runtime_of(request).clock.now(),
                mails=[_line(name, mail) for name, mail in found[:PER_PAGE]],
                folder=str(settings.kept_mails),
                next_url=f"/mails?after={first + PER_PAGE}" if len(found) > PER_PAGE else "",
            )
        )

    @opened_by("this machine")
    async def mail(request: Request) -> Response:
        settings = _settings_for(request)
        name = str(request.path_params["name"])
        kept = await asyncio.to_thread(_read, _file(settings.kept_mails, name))
        return HTMLResponse(
            pages.get_template("mail_kept.html").render(
                console=_console(settings),
                now=runtime_of(request).clock.now(),
                mail=_whole(kept),
                file_url=f"/mails/{name}/file",
            )
        )

    @opened_by("this machine")
    async def file(request: Request) -> Response:
        path = _file(_settings_for(request).kept_mails, str(request.path_params["name"]))
        return FileResponse(path, media_type="message/rfc822", filename=path.name)

    return [Route("/mails", mails), Route("/mails/{name}", mail), Route("/mails/{name}/file", file)]


def _settings_for(request: Request) -> NurtureSettings:
    """Raises `NotFound` for all but a reader on this machine, of an installation that sends nothing."""
    settings = runtime_of(request).settings
    assert isinstance(settings, NurtureSettings)
    if not settings.mail_page or settings.smtp_url is not None or not _is_local(request):
        raise NotFound
    return settings


def _is_local(request: Request) -> bool:
    """The caller's address is this machine's, no proxy speaks for another, and the page was asked for by a local name.

    The name matters because a page elsewhere can have its own name point at this machine (DNS rebinding).
    """
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    return address.is_loopback and not forwarded and _LOCAL_HOST.fullmatch(request.headers.get("host", "")) is not None


def _console(settings: NurtureSettings) -> Console:
    addresses = {name: settings.public_url_of(name) for name in SERVICES} | {"nurture": ""}
    return console("mails", addresses, settings.company)


def _newest(folder: Path, first: int, count: int) -> list[tuple[str, EmailMessage]]:
    files = sorted(folder.glob("[!.]*.eml"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    return [(file.stem, _read(file)) for file in files[first : first + count]]


def _read(file: Path) -> EmailMessage:
    return message_from_bytes(file.read_bytes(), policy=policy.default)


def _file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.eml"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound
    return path


def _line(name: str, mail: EmailMessage) -> dict[str, Any]:
    return {"address": f"/mails/{name}", "to": str(mail["To"]), "subject": str(mail["Subject"]), "at": _written(mail)}


def _whole(mail: EmailMessage) -> dict[str, Any]:
    text = mail.get_body(("plain",))
    return {
        "subject": str(mail["Subject"]),
        "sender": str(mail["From"]),
        "to": str(mail["To"]),
        "at": _written(mail),
        "text": str(text.get_content()) if text else "",
        "unsubscribe": str(mail["List-Unsubscribe"] or "").strip("<>"),
    }


def _written(mail: EmailMessage) -> datetime:
    return parsedate_to_datetime(str(mail["Date"])).astimezone(UTC)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
