"""What is kept of a web address: where it points, and how its visitor was led there, but nothing about the visitor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from services.capture.domain.cleaning import one_line, token

ALLOWED_PARAMETERS = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"})
LONGEST = 500
_MOST_PARAMETERS = 100
# Landing pages come again and again; the same address is taken apart once.
_REMEMBERED = 1024


class WebAddress(NamedTuple):
    """`https://www.a.example/x?utm_source=n&mail=q` has the path `/x?utm_source=n`, the place
    `https://www.a.example/x?utm_source=n`, the host `a.example`, and the parameters as they were."""

    path: str = ""
    place: str = ""
    host: str = ""
    parameters: Mapping[str, str] = {}


_NONE = WebAddress()


def web_address(text: str) -> WebAddress:
    """All parts are empty for what is no address."""
    return _read(text) if text else _NONE


@lru_cache(_REMEMBERED)
def _read(text: str) -> WebAddress:
    try:
        parts = urlsplit(one_line(text))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _NONE
    pairs = _pairs(parts)
    path = (_path(parts) + _query(pairs))[:LONGEST]
    place = path
    if parts.scheme in ("http", "https") and host:
        place = f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"[:LONGEST]
    return WebAddress(path, place, host.removeprefix("www."), dict(pairs))


def _pairs(parts: SplitResult) -> list[tuple[str, str]]:
    try:
        return parse_qsl(parts.query, max_num_fields=_MOST_PARAMETERS) if parts.query else []
    except ValueError:
        return []


def _path(parts: SplitResult) -> str:
    """Each step of the path but those that could name somebody, as in `/leave/anna@example.com`."""
    if parts.scheme not in ("", "http", "https"):
        return ""
    steps = [step if not step or token(step.replace("%20", " ")) else "-" for step in parts.path.split("/")]
    return quote("/".join(steps), safe="/%:+|~-._")


def _query(pairs: list[tuple[str, str]]) -> str:
    kept = [(name, token(value)) for name, value in pairs if name in ALLOWED_PARAMETERS]
    return "?" + urlencode(kept) if kept else ""
