"""Which journeys there are: one YAML file each, checked to the last key before a service starts with it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from jinja2 import TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from services.nurture.domain.journey import Delivery, Journey, MailStep
from shared.lifecycle import Stage

FOLDER = Path(__file__).parent / "journeys"

# Who is not yet known to be real may not be written to, whatever a file says.
_BEFORE_REGISTRATION = frozenset({Stage.prospect, Stage.captured})
_WAIT = re.compile(r"([1-9]\d{0,3}) (minute|hour|day|week)s?")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class BadJourney(ValueError):
    """A journey file cannot be used; the message names the file and what is wrong in it."""


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    mail: str | None = None
    wait: str | None = None
    subject: str | None = None
    delivery: Delivery | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    journey: str
    version: int
    purpose: str
    enter: list[Stage]
    exit: list[Stage]
    again: Literal["once_per_cycle"]
    steps: list[_Step]


def read_journeys(folder: Path) -> Mapping[str, Journey]:
    """The journeys of a folder by name. Raises `BadJourney`."""
    journeys: dict[str, Journey] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            journey = journey_of(path.read_text(encoding="utf-8"))
            _require(journey.name == path.stem, f"`journey` must be {path.stem}, as the file is called")
        except BadJourney as error:
            raise BadJourney(f"{path.name}: {error}") from None
        journeys[journey.name] = journey
    return journeys


def journey_of(text: str) -> Journey:
    """The journey that a file's text describes. Raises `BadJourney`."""
    try:
        file = msgspec.convert(yaml.load(text, _OnceOnly), _File)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise BadJourney(str(error)) from None
    _require(_NAME.fullmatch(file.journey) is not None, "`journey` must be a short lower-case name")
    _require(file.version >= 1, "`version` must be 1 or more")
    _require(_NAME.fullmatch(file.purpose) is not None, "`purpose` must be a short lower-case name")
    enters, exits = frozenset(file.enter), frozenset(file.exit)
    _require(bool(enters), "`enter` names no stage")
    _require(not enters & exits, f"{_names(enters & exits)} can not both enter and exit")
    _require(not enters & _BEFORE_REGISTRATION, f"{_names(enters & _BEFORE_REGISTRATION)} may not be written to")
    return Journey(file.journey, file.version, file.purpose, enters, exits, _mails(file.steps))


def _mails(steps: list[_Step]) -> tuple[MailStep, ...]:
    mails: list[MailStep] = []
    wait: timedelta | None = None
    for number, step in enumerate(steps, start=1):
        where = f"step {number}"
        _require((step.mail is None) != (step.wait is None), f"{where} must be either a `mail` or a `wait`")
        if step.wait is not None:
            _require(wait is None, f"{where} waits directly after another wait")
            _require(step.subject is None and step.delivery is None, f"{where} is a wait and only takes `wait`")
            wait = _duration(step.wait, where)
        else:
            mails.append(_mail(step, wait or timedelta(0), where))
            wait = None
    _require(bool(mails), "`steps` has no mail")
    _require(wait is None, "`steps` ends with a wait for nothing")
    names = [mail.name for mail in mails]
    _require(len(set(names)) == len(names), "`steps` names a mail twice")
    return tuple(mails)


def _mail(step: _Step, after: timedelta, where: str) -> MailStep:
    assert step.mail is not None
    _require(_NAME.fullmatch(step.mail) is not None, f"{where}: `mail` must be a short lower-case name")
    subject = (step.subject or "").strip()
    _require(bool(subject) and "\n" not in subject, f"{where}: a mail needs a `subject` of one line")
    try:
        SandboxedEnvironment().parse(subject)
    except TemplateSyntaxError as error:
        raise BadJourney(f"{where}: `subject`: {error.message}") from None
    return MailStep(step.mail, subject, after, step.delivery or Delivery.at_most_once)


def _duration(text: str, where: str) -> timedelta:
    found = _WAIT.fullmatch(text)
    _require(found is not None, f"{where}: `wait` must look like `3 days`, in minutes, hours, days or weeks")
    assert found is not None
    return timedelta(**{f"{found[2]}s": int(found[1])})


def _names(stages: frozenset[Stage]) -> str:
    return ", ".join(sorted(stages))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadJourney(otherwise)


class _OnceOnly(yaml.SafeLoader):
    """YAML in which a key said twice is an error, where PyYAML silently takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"`{key}` is said twice", node.start_mark)
        return super().construct_mapping(node, deep)


JOURNEYS: dict[str, Journey] = dict(read_journeys(FOLDER))
