"""The frame of the console: where to go from here, for whom, and who is looking."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.insights.session import Visitor
from shared.events.topics import SERVICES
from shared.keys import Role, Scope


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
class Person:
    """Who signed in; nobody has where `name` is ""."""

    name: str
    initials: str
    role: str


@dataclass(frozen=True)
class Console:
    """What every page of the console shows around its own: the installation's name, where to go, where to find."""

    company: str
    groups: tuple[Group, ...]
    find: str
    """Address of the list of leads, which takes `?q=`; "" hides the field."""
    person: Person


ROLES = {
    Role.operator: "Operator",
    Role.marketer: "Marketer",
    Role.lead_manager: "Lead manager",
    Role.rep: "Sales rep",
    Role.reader: "Whoever sits here",
}
OWN = "insights"
_REP = "rep"
# What links away from the console is for those who set it up.
_SETS_UP = "sets up"

# (group, key, label, sign, service, path, for whom)
_PLACES = (
    ("", "home", "Home", "home", OWN, "/", (Scope.card,)),
    ("", "leads", "Leads", "people", OWN, "/leads", (Scope.card,)),
    ("", "worklist", "Worklist", "list", OWN, "/worklist", (Scope.card, _REP)),
    ("Look after", "mails", "Mails", "mail", OWN, "/mails", (Scope.card,)),
    ("Look after", "quarantine", "Put aside", "shield", OWN, "/quarantine", (Scope.card,)),
    ("Look after", "held", "Held events", "clock", OWN, "/held", (Scope.operate,)),
    ("Set up", "sites", "Sites", "form", OWN, "/sites", (Scope.read,)),
    ("Set up", "keys", "Keys and people", "keys", OWN, "/keys", (Scope.operate,)),
    ("Set up", "demo", "Demo form", "play", "capture", "/demo", (_SETS_UP,)),
    ("Set up", "copy", "Copy the form", "copy", "capture", "/demo/form", (_SETS_UP,)),
    *(("Read the API", name, name.capitalize(), "code", name, "/docs", (_SETS_UP,)) for name in SERVICES),
)


def console(
    current: str, addresses: Mapping[str, str], company: str, visitor: Visitor, without: Collection[str] = ()
) -> Console:
    """The console as `visitor` sees it from the place `current` (home, leads, mails, ...).

    `addresses` says where each service is found by the reader's browser, "" for the console itself. `without` leaves
    out places by key, as the mails when a real mail server takes them.
    """
    may: set[str] = {*visitor.key.scopes}
    may |= {_REP} if visitor.key.rep else set()
    may |= {_SETS_UP} if visitor.role is Role.reader or Scope.configure in may else set()
    groups: dict[str, list[Place]] = {}
    for title, key, label, sign, service, path, whom in _PLACES:
        if may & set(whom) and key not in without:
            groups.setdefault(title, []).append(Place(label, addresses[service] + path, sign, key == current))
    return Console(
        company,
        tuple(Group(title, tuple(places)) for title, places in groups.items()),
        "/leads" if Scope.card in may else "",
        Person(visitor.name, _initials(visitor.name), ROLES[visitor.role] if visitor.role else "A key"),
    )


def _initials(name: str) -> str:
    """`HV` of hanne.vestergren."""
    words = name.replace(".", " ").replace("-", " ").replace("_", " ").split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
