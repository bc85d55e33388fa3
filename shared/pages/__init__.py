"""What the pages of all services share: the sheet, the letters, the signs, and how a figure or a time is written.

A service mounts the files and renders its own folder of templates, which may extend the layouts here:

    routes = [*static_files("capture", STATIC), ...]
    pages = templates(FOLDER, zone=settings.timezone)
    pages.get_template("demo.html").render(...)
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from shared.pages.calendar import Calendar
from shared.pages.figures import figure, whole
from shared.pages.stages import STAGES, named

STATIC = Path(__file__).parent / "static"
LAYOUTS = Path(__file__).parent / "layouts"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The header every page goes out with. Our pages hold no inline style or script, so it allows none."""


def line(text: str) -> str:
    """The text on one line: forms send line breaks also in fields that have none."""
    return " ".join(text.split())


@cache
def templates(folder: Path, zone: tzinfo = UTC, **filters: object) -> Environment:
    """The templates of `folder`, then the shared layouts; times are written in `zone`. `filters` are the service's own.

    Values are escaped in `.html` and written as they are in `.txt`. A variable that a template names and the caller
    left out raises `jinja2.UndefinedError` rather than printing nothing. Made once for the same wishes, as compiling a
    service's templates takes a fifth of a second.
    """
    pages = Environment(
        loader=FileSystemLoader([folder, LAYOUTS]),
        autoescape=select_autoescape(enabled_extensions=("html",), default=True, disabled_extensions=("txt",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    ours = {"figure": figure, "line": line, "stage": named, "whole": whole, **Calendar(zone).filters()}
    cast("dict[str, object]", pages.filters).update(ours, **filters)
    cast("dict[str, object]", pages.globals).update(stages=STAGES, zone=str(zone))
    return pages


def static_files(service: str, folder: Path) -> list[BaseRoute]:
    """The routes of a service's own files, `/static/<service>/...`, and of the shared ones, `/static/...`."""
    return [Mount(f"/static/{service}", StaticFiles(directory=folder)), Mount("/static", StaticFiles(directory=STATIC))]


class Mail(NamedTuple):
    """The words of a mail; `subject` is one line."""

    subject: str
    text: str
    html: str
