"""What the routes of capture share while the service runs: its sites, pages, settings and leads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from services.capture.domain.activity import ACTIVITY_TYPES
from services.capture.pages import FOLDER
from services.capture.repository import Record
from services.capture.settings import CaptureSettings
from services.capture.sites import Sites
from shared.pages import templates

if TYPE_CHECKING:
    from jinja2 import Environment

    from shared.service import Runtime


class Room:
    """One per running service."""

    def __init__(self, runtime: Runtime[Record]) -> None:
        assert isinstance(runtime.settings, CaptureSettings)
        self.runtime = runtime
        self.settings: CaptureSettings = runtime.settings
        self.sites = Sites(runtime.database, demo=self.settings.demo_site)
        self.secret = self.settings.secret
        own = [name.strip() for name in self.settings.activity_types.split(",")]
        self.activity_types = ACTIVITY_TYPES | {name for name in own if name}

    @cached_property
    def pages(self) -> Environment:
        return templates(FOLDER, zone=self.settings.timezone)


def room_in(runtime: Runtime[Any]) -> Room:
    if "room" not in runtime.attached:
        runtime.attached["room"] = Room(runtime)
    room: Room = runtime.attached["room"]
    return room


def room_of(request: HTTPConnection) -> Room:
    return room_in(request.app.state.runtime)
