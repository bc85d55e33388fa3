"""What is kept of a web address: where it points, and how its visitor was led there, but nothing about the visitor."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from services.capture.domain.cleaning import one_line, token

ALLOWED_PARAMETERS = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"})
LONGEST = 500


def path_of(address: str) -> str:
    """Path and allowed parameters: `https://a.example/x?utm_source=n&mail=q` gives `/x?utm_source=n`."""
    parts = _parts(address)
    return (_path(parts) + _query(parts))[:LONGEST] if parts else ""


def place_of(address: str) -> str:
    """As `path_of`, with the host before it: `https://a.example/x?utm_source=n`."""
    parts = _parts(address)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return path_of(address)
    return f"{parts.scheme}://{_host(parts)}{_path(parts)}{_query(parts)}"[:LONGEST]


def host_of(address: str) -> str:
    """The host in lower case without `www.`, empty when there is none."""
    parts = _parts(address)
    return (parts.hostname or "").removeprefix("www.") if parts else ""


def parameters_of(address: str) -> dict[str, str]:
    """The query's parameters, the last of each name."""
    parts = _parts(address)
    if parts is None:
        return {}
    try:
        return dict(parse_qsl(parts.query, max_num_fields=100))
    except ValueError:
        return {}


def _parts(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(one_line(address))
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"{host}:{parts.port}" if parts.port else host


def _path(parts: SplitResult) -> str:
    """Each step of the path but those that could name somebody, as in `/leave/anna@example.com`."""
    if parts.scheme not in ("", "http", "https"):
        return ""
    steps = [step if not step or token(step.replace("%20", " ")) else "-" for step in parts.path.split("/")]
    return quote("/".join(steps), safe="/%:+|~-._")


def _query(parts: SplitResult) -> str:
    try:
        pairs = parse_qsl(parts.query, max_num_fields=100)
    except ValueError:
        return ""
    kept = [(name, token(value)) for name, value in pairs if name in ALLOWED_PARAMETERS]
    return "?" + urlencode(kept) if kept else ""
