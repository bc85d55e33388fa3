"""The mails that are kept as files because no mail server is set: journeys' and, in the same folder, offers to reps."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from services.nurture.schemas import KeptMail, KeptMailLine
from shared.errors import NotFound

_NAME = re.compile(r"\w[\w.@-]{0,200}", re.ASCII)

Place = tuple[int, str]
"""Of a mail in the list: when its file was written, in nanoseconds, and its name."""


def newest(folder: Path, after: Place | None, count: int) -> list[tuple[Place, KeptMailLine]]:
    """The newest mails, or those before that place."""
    places = [(file.stat().st_mtime_ns, file.stem) for file in folder.glob("[!.]*.eml")]
    wanted = sorted((place for place in places if after is None or place < after), reverse=True)[:count]
    return [(place, _line(place[1], _read(_file(folder, place[1])))) for place in wanted]


def whole(folder: Path, name: str) -> KeptMail:
    """Raises `NotFound`."""
    file = _file(folder, name)
    mail = _read(file)
    text = mail.get_body(("plain",))
    return KeptMail(
        **_line(name, mail).model_dump(),
        sender=str(mail["From"]),
        text=str(text.get_content()) if text else "",
        unsubscribe=str(mail["List-Unsubscribe"] or "").strip("<>"),
        source=file.read_text(encoding="ascii", errors="replace"),
    )


def _line(name: str, mail: EmailMessage) -> KeptMailLine:
    return KeptMailLine(name=name, to=str(mail["To"]), subject=str(mail["Subject"]), at=_written(mail))


def _read(file: Path) -> EmailMessage:
    return message_from_bytes(file.read_bytes(), policy=policy.default)


def _file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.eml"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound("no such mail")
    return path


def _written(mail: EmailMessage) -> datetime:
    return parsedate_to_datetime(str(mail["Date"])).astimezone(UTC)
