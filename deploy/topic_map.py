"""Who says and hears what, read off the services' own declarations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shared.events.topics import SERVICES, Topic
from shared.service import Service


def declared() -> dict[str, Service[Any]]:
    """The five declarations, by name."""
    return {name: import_module(f"services.{name}.app").service for name in SERVICES}


def speakers_and_hearers(services: dict[str, Service[Any]]) -> dict[Topic, tuple[set[str], set[str]]]:
    """For each topic the services that publish an event of it and those that consume one.

    Every service answers an erasure on `leads.privacy`; the plumbing does that without being declared.
    """
    said: dict[Topic, set[str]] = {topic: set() for topic in Topic}
    heard: dict[Topic, set[str]] = {topic: set() for topic in Topic}
    for name, service in services.items():
        for event in service.publishes:
            said[event.topic].add(name)
        for event in service.consumes:
            heard[event.topic].add(name)
    said[Topic.PRIVACY] |= set(services)
    return {topic: (said[topic], heard[topic]) for topic in Topic}


def as_text(services: dict[str, Service[Any]]) -> str:
    """The map as `make topics` prints it: first by topic, then each service's events."""
    lines = ["TOPIC            SAID BY                      HEARD BY"]
    for topic, (said, heard) in speakers_and_hearers(services).items():
        lines.append(f"{topic:<16} {_in_order(said):<28} {_in_order(heard)}")
    for name, service in services.items():
        lines += ["", f"{name}"]
        lines += [f"  says   {event.type}" for event in service.publishes]
        lines += [f"  hears  {event.type}" for event in service.consumes]
        lines += [f"  times  {timer}" for timer in service.timers]
    return "\n".join(lines)


def _in_order(names: set[str]) -> str:
    return "all five" if names == set(SERVICES) else ", ".join(name for name in SERVICES if name in names)
