"""The side bar of the console."""

from __future__ import annotations

from uuid import uuid4

import pytest

from services.insights.navigation import Console, console
from services.insights.session import AT_THIS_MACHINE, Visitor
from shared.events.topics import SERVICES
from shared.keys import SCOPES, Key, Role

ADDRESSES = {name: "" if name == "insights" else f"http://{name}" for name in SERVICES}


def somebody(role: Role) -> Visitor:
    rep = uuid4() if role is Role.rep else None
    return Visitor(Key("a_1", "", "", SCOPES[role], rep=rep), role, "hanne.vestergren")


def places(seen: Console) -> list[str]:
    return [place.label for group in seen.groups for place in group.places]


def test_it_leads_to_what_is_there_and_says_where_one_is() -> None:
    seen = console("home", ADDRESSES, "Tarn Sensors", AT_THIS_MACHINE)
    found = {place.label: place.address for group in seen.groups for place in group.places}
    assert (found["Home"], found["Handover"], found["Insights"]) == ("/", "http://handover/docs", "/docs")
    assert [place.label for group in seen.groups for place in group.places if place.current] == ["Home"]
    fewer = console("home", ADDRESSES, "Tarn Sensors", AT_THIS_MACHINE, without=["mails"])
    assert set(places(seen)) - set(places(fewer)) == {"Mails"}


@pytest.mark.parametrize(
    ("role", "there", "not_there"),
    [
        (Role.operator, {"Home", "Leads", "Worklist", "Mails", "Demo form", "Capture"}, set[str]()),
        (Role.marketer, {"Home", "Leads", "Mails", "Demo form"}, set[str]()),
        (Role.lead_manager, {"Home", "Leads", "Worklist", "Mails"}, {"Demo form", "Capture"}),
        (Role.rep, {"Worklist"}, {"Home", "Leads", "Mails", "Demo form", "Capture"}),
    ],
)
def test_a_role_is_led_only_to_what_it_may_open(role: Role, there: set[str], not_there: set[str]) -> None:
    seen = console("", ADDRESSES, "Tarn Sensors", somebody(role))
    assert there <= set(places(seen))
    assert not not_there & set(places(seen))
    assert bool(seen.find) == ("Leads" in places(seen))


def test_who_signed_in_is_named() -> None:
    seen = console("", ADDRESSES, "", somebody(Role.lead_manager)).person
    assert (seen.name, seen.initials, seen.role) == ("hanne.vestergren", "HV", "Lead manager")
    assert console("", ADDRESSES, "", AT_THIS_MACHINE).person.name == ""
