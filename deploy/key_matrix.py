"""Which key opens which route, read off the routes of the five apps: `docs/keys.md`.

`python -m deploy.key_matrix` writes it anew. A test asks every route with every kind of key and holds the answers
against what is declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from deploy.topic_map import declared
from shared.keys import SCOPES as SCOPES_OF
from shared.keys import Role, Scope
from shared.security import OPENED_BY
from shared.service import Runtime
from shared.web import build_app

PAGE = Path(__file__).parent.parent / "docs" / "keys.md"
ANYONE, SITE_KEY, SIGNED_LINK, THIS_MACHINE = "anyone", "site key", "signed link", "this machine"
PASSWORD, REP = "a password", "rep"
WAYS = frozenset({ANYONE, SITE_KEY, SIGNED_LINK, THIS_MACHINE, PASSWORD, REP, *Scope})
ROLES = (Role.operator, Role.marketer, Role.lead_manager, Role.rep)
"""Those that people have who sign in."""

SCOPES: Mapping[Scope, str] = {
    Scope.post: "post leads and activities from a server, trusted as the operator is and answered with `lead_id`",
    Scope.read: "scores, touches, timelines, the funnel, rules, reps, sites, and the worklist without names",
    Scope.card: "people: cards, exports, lists with names, what was put aside, the console; names on the worklist",
    Scope.work: "accept, return and report outcomes, move stages, let in what was put aside",
    Scope.configure: "change rules, reps and sites",
    Scope.erase: "erase people, and see how far that is",
    Scope.events: "the feed of events",
    Scope.operate: "see what is held, have it tried again or skipped",
}

_HEAD = """# Keys: who opens what

Written by `python -m deploy.key_matrix` from the routes themselves. How keys are made stands in
[operating.md](operating.md#keys).

The operator's key (`LEADLINE_API_KEY`) has every scope. A key of your own has those it was made with:

| scope | for |
|---|---|
"""
_BETWEEN = """
Both are sent as `Authorization: Bearer lk_…`. Without one, and with one that is not known, the answer is 401; with one
that lacks the scope, 403 with `missing_scope`. A **site key** (`X-Site-Key: pk_…`) is public: it may post, and learns
nothing. A **signed link** comes in a mail and is good for what that mail was about. **This machine** means a reader who
sits at it, where that is switched on (`INSIGHTS_CONSOLE=open`); it needs no key then.

People [sign in](console.md#signing-in) to the console, which then asks each service in their name. What a person may do
hangs on their role, and every service looks at it for itself; a **rep** sees and answers what is theirs, and in their
own name alone:

| role | scopes |
|---|---|
"""


class Door(NamedTuple):
    """A route and who may ask it; nobody has said so where `opened_by` is empty."""

    service: str
    method: str
    path: str
    opened_by: tuple[str, ...]


def apps() -> dict[str, FastAPI]:
    """The five as they are served; nothing is connected to."""
    given = {"database_url": "postgresql://nowhere/none", "api_key": "nobody's", "given_keys_file": "no keys"}
    return {
        name: Runtime(service, service.settings.model_validate(given)).app(("api",))
        for name, service in declared().items()
    }


def doors(service: str, app: FastAPI) -> list[Door]:
    """Every route of an app in the order in which they are tried; one behind another of its kind is never reached."""
    found: dict[tuple[str, str], Door] = {}
    for route in iter_route_contexts(app.router.routes):
        for method, path in _asked_as(route):
            found.setdefault((method, path), Door(service, method, path, _opened_by(app, route)))
    return list(found.values())


def _asked_as(route: RouteContext) -> Iterator[tuple[str, str]]:
    if isinstance(route.original_route, Mount):
        yield "GET", f"{route.original_route.path}/{{file}}"
        return
    for method in sorted((route.methods or set()) - {"HEAD"}):
        yield method, re.sub(r":\w+}", "}", str(route.path))


def _opened_by(app: FastAPI, route: RouteContext) -> tuple[str, ...]:
    """What the guard of a route declares, or a plain route's endpoint; what every service has is for anyone.

    Raises `ValueError` for an unknown word.
    """
    mounted = isinstance(route.original_route, Mount) and isinstance(route.original_route.app, StaticFiles)
    if mounted or route.path == app.openapi_url or getattr(route.endpoint, "__module__", "") == build_app.__module__:
        return (ANYONE,)
    guards = [route.endpoint, *_calls_of(cast("Dependant | None", getattr(route, "dependant", None)))]
    said = [cast("tuple[str, ...]", getattr(guard, OPENED_BY)) for guard in guards if hasattr(guard, OPENED_BY)]
    if len(said) > 1 or any(way not in WAYS for way in sum(said, ())):
        raise ValueError(f"{route.path} declares {said}")
    return said[0] if said else ()


def _calls_of(dependant: Dependant | None) -> Iterator[Any]:
    for one in dependant.dependencies if dependant else ():
        yield one.call
        yield from _calls_of(one)


def opens(role: Role, door: Door) -> bool:
    """Whether somebody who signed in gets past the guard of a route, be it that it has none."""
    own = role is Role.rep and REP in door.opened_by
    return own or ANYONE in door.opened_by or bool(SCOPES_OF[role] & set(door.opened_by))


def as_page(services: Mapping[str, Sequence[Door]]) -> str:
    scopes = "".join(f"| `{scope}` | {SCOPES[scope]} |\n" for scope in Scope)
    roles = "".join(f"| {_role(role)} | {_scopes_of(role)} |\n" for role in ROLES)
    return "".join([_HEAD, scopes, _BETWEEN, roles, *(_table(name, found) for name, found in services.items())])


def _table(service: str, found: Sequence[Door]) -> str:
    heads = " | ".join(_role(role) for role in ROLES)
    rows = "".join(
        f"| {door.method} | `{door.path}` | {_in_words(door.opened_by)} | "
        f"{' | '.join('yes' if opens(role, door) else '' for role in ROLES)} |\n"
        for door in found
    )
    lines = "|---" * (3 + len(ROLES)) + "|"
    return f"\n## {service.capitalize()}\n\n| | route | opened by | {heads} |\n{lines}\n{rows}"


def _role(role: Role) -> str:
    return role.replace("_", " ")


def _scopes_of(role: Role) -> str:
    if role is Role.rep:
        return "their own worklist, and accepting, returning and reporting outcomes"
    scopes = [scope for scope in Scope if scope in SCOPES_OF[role]]
    return "all" if len(scopes) == len(Scope) else " ".join(f"`{scope}`" for scope in scopes)


def _in_words(ways: tuple[str, ...]) -> str:
    """`site key · `post` · operator`"""
    scoped = any(way in set(Scope) for way in ways)
    return " · ".join([*(f"`{way}`" if way in set(Scope) else way for way in ways), *(["operator"] if scoped else [])])


def main() -> None:
    found = {name: doors(name, app) for name, app in apps().items()}
    if open_to_all := [door for each in found.values() for door in each if not door.opened_by]:
        raise SystemExit(f"These routes do not say who may ask them: {open_to_all}")
    PAGE.write_text(as_page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
