"""Who says and hears what: the declarations against the map that people rely on."""

from __future__ import annotations

import pytest

from deploy.topic_map import as_text, declared, speakers_and_hearers
from shared.events.capture import CardChanged
from shared.events.stage import StageChanged
from shared.events.topics import SPEAKERS, Topic

FIVE = {"capture", "scoring", "nurture", "handover", "insights"}

# topic: (said by, heard by). Written out here on purpose: a change of the map is a change of what others rely on.
MAP: dict[str, tuple[set[str], set[str]]] = {
    "leads.card": ({"capture"}, {"scoring", "nurture", "handover", "insights"}),
    "leads.activity": ({"capture"}, {"scoring", "nurture", "handover", "insights"}),
    "leads.stage": ({"capture", "scoring", "handover"}, FIVE),
    "leads.score": ({"scoring"}, {"nurture", "handover", "insights"}),
    "leads.nurture": ({"nurture"}, {"capture", "scoring", "insights"}),
    "leads.handover": ({"handover"}, {"capture", "scoring", "nurture", "insights"}),
    "leads.privacy": (FIVE, {"capture", "insights"}),
    "leads.market": ({"capture"}, {"insights"}),
}


@pytest.mark.parametrize("topic", list(Topic))
def test_a_topic_is_said_and_heard_by_those_who_should(topic: Topic) -> None:
    assert speakers_and_hearers(declared())[topic] == MAP[topic]


def test_nobody_declares_what_only_others_may_say() -> None:
    assert [
        (name, event.__name__)
        for name, service in declared().items()
        for event in service.publishes
        if name not in SPEAKERS[event.topic]
    ] == []


def test_personal_data_has_one_topic() -> None:
    said = {event.topic for service in declared().values() for event in service.publishes if event is CardChanged}
    assert said == {Topic.CARD}


def test_only_owners_of_stages_say_stage_changes() -> None:
    assert {name for name, service in declared().items() if StageChanged in service.publishes} == {
        "capture",
        "scoring",
        "handover",
    }


def test_the_printed_map_names_every_topic_and_event() -> None:
    services = declared()
    text = as_text(services)
    assert all(topic in text for topic in Topic)
    assert all(event.type in text for service in services.values() for event in service.publishes)
