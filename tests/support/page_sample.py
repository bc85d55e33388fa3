"""One way a template is rendered, and the frame that every page of the console has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from services.insights.navigation import Console, console
from services.insights.session import AT_THIS_MACHINE, Visitor
from shared.keys import SCOPES, Key, Role

Row = dict[str, object]

NOW = datetime(2026, 11, 17, 13, 32, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """One way a template is rendered; `state` tells it from others of the same template."""

    service: str
    template: str
    variables: dict[str, object]
    state: str = ""

    @property
    def id(self) -> str:
        return f"{self.service}/{self.template}" + (f" {self.state}" if self.state else "")

    def but(self, state: str, /, **changes: object) -> Sample:
        return Sample(self.service, self.template, {**self.variables, **changes}, state)


_ADDRESSES = {
    "insights": "",
    "capture": "http://127.0.0.1:8001",
    "scoring": "http://127.0.0.1:8002",
    "nurture": "http://127.0.0.1:8003",
    "handover": "http://127.0.0.1:8004",
}


def frame(place: str, role: Role = Role.lead_manager) -> Console:
    """As somebody in that role sees it."""
    visitor = Visitor(Key("a_1", "", "", SCOPES[role]), role, "hanne.vestergren")
    return console(place, _ADDRESSES, "Tarn Sensors", AT_THIS_MACHINE if role is Role.reader else visitor)
