"""The pages of insights: templates in `FOLDER`; its own scripts and sheets in `STATIC`, under `/static/insights`."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path

from jinja2 import Environment

from services.insights.domain.days import Days, age
from services.insights.domain.figures import percent, points, signed
from shared.pages import templates

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


def console_pages(zone: tzinfo) -> Environment:
    """The templates of the console, with the ways of writing that only it has."""
    days = Days(zone)
    own = {
        "age": age,
        "by_day": days.by_day,
        "hour": days.hour,
        "when": days.when,
        "percent": percent,
        "points": points,
        "signed": signed,
    }
    return templates(FOLDER, zone, **own)
