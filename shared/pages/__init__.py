"""What the pages of all services share: the sheet, the letters, the signs, and how a figure or a time is written.

A service mounts the files and renders its own folder of templates, which may extend the layouts here:

    routes = [*static_files("capture", STATIC), ...]
    pages = templates(FOLDER, zone=settings.timezone)
    pages.get_template("demo.html").render(...)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from os import PathLike, stat_result
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from shared.pages.calendar import Calendar
from shared.pages.figures import figure, money, percent, points, signed, whole
from shared.pages.names import called, line
from shared.pages.stages import STAGES, named

STATIC = Path(__file__).parent / "static"
LAYOUTS = Path(__file__).parent / "layouts"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The header every page goes out with. Our pages hold no inline style or script, so it allows none."""

_FILTERS: Mapping[str, Callable[..., object]] = {
    "called": called,
    "figure": figure,
    "line": line,
    "money": money,
    "percent": percent,
    "points": points,
    "signed": signed,
    "stage": named,
    "whole": whole,
}


def templates(*folders: Path, zone: tzinfo = UTC) -> Environment:
    """The templates of `folders`, then the shared layouts; times are written in `zone`.

    Values are escaped in `.html` and written as they are in `.txt`. A variable that a template names and the caller
    left out raises `jinja2.UndefinedError` rather than printing nothing.
    """
    pages = Environment(
        loader=FileSystemLoader([*folders, LAYOUTS]),
        autoescape=select_autoescape(enabled_extensions=("html",), default=True, disabled_extensions=("txt",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast("dict[str, object]", pages.filters).update(_FILTERS, **Calendar(zone).filters())
    cast("dict[str, object]", pages.globals).update(stages=STAGES, zone=str(zone))
    return pages


def static_files(service: str, folder: Path) -> list[BaseRoute]:
    """The routes of a service's own files, `/static/<service>/...`, and of the shared ones, `/static/...`."""
    return [
        Mount(f"/static/{service}", _AskedForEachTime(directory=folder)),
        Mount("/static", _AskedForEachTime(directory=STATIC)),
    ]


class _AskedForEachTime(StaticFiles):
    """Browsers keep a file but ask whether it has changed: modules of two versions never meet in one page."""

    def file_response(
        self, full_path: PathLike[str] | str, stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


@dataclass(frozen=True)
class Mail:
    subject: str
    text: str
    html: str


def write_mail(pages: Environment, name: str, **variables: object) -> Mail:
    """The mail `name` as text and HTML, from `<name>.txt` and `<name>.html`; the subject is what the text one sets.

    A subject is one line whatever the variables hold, so that no name can add a header.
    """
    text = pages.get_template(f"{name}.txt").make_module(variables)
    return Mail(line(str(vars(text)["subject"])), str(text), pages.get_template(f"{name}.html").render(variables))
