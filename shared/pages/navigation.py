"""The side bar of the console: one list of places, though each is served by the service that knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.events.topics import SERVICES


@dataclass(frozen=True)
class Place:
    label: str
    address: str
    sign: str
    current: bool = False


@dataclass(frozen=True)
class Group:
    title: str
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Console:
    """What every page of the console shows around its own: the installation's name, where to go, where to find."""

    company: str
    groups: tuple[Group, ...]
    find: str
    """Address of the list of leads, which takes `?q=`; "" hides the field."""


# (group, key, label, sign, service, path)
_PLACES = (
    ("", "home", "Home", "home", "insights", "/"),
    ("", "leads", "Leads", "people", "insights", "/leads"),
    ("Look after", "mails", "Mails", "mail", "nurture", "/mails"),
    ("Set up", "demo", "Demo form", "form", "capture", "/demo"),
    ("Set up", "copy", "Copy the form", "copy", "capture", "/demo/form"),
    *(("Read the API", name, name.capitalize(), "code", name, "/docs") for name in SERVICES),
)


def console(current: str, addresses: Mapping[str, str], company: str, without: Collection[str] = ()) -> Console:
    """The console as seen from the place `current` (home, leads, mails, ...).

    `addresses` says where each service is found by the reader's browser, "" for the service that renders; a service
    not named has no places. `without` leaves out places by key, as the mails when a real mail server takes them.
    """
    groups: dict[str, list[Place]] = {}
    for title, key, label, sign, service, path in _PLACES:
        if service in addresses and key not in without:
            groups.setdefault(title, []).append(Place(label, addresses[service] + path, sign, key == current))
    find = f"{addresses['insights']}/leads" if "insights" in addresses else ""
    return Console(company, tuple(Group(title, tuple(places)) for title, places in groups.items()), find)
