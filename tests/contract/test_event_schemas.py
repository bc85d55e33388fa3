"""What an event says is published; it may only grow."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from deploy.event_schemas import FOLDER, as_text, incompatible, schemas

PUBLISHED = {file.stem: file.read_text() for file in FOLDER.glob("io.leadline.*.json")}


def test_every_event_has_its_schema_in_the_tree_and_it_says_what_the_class_says() -> None:
    assert {name: as_text(schema) for name, schema in schemas().items()} == PUBLISHED, (
        "an event class and its published schema differ: `python -m deploy.event_schemas` writes what only grew"
    )


@pytest.fixture
def stage_event() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PUBLISHED["io.leadline.stage.changed.v1"])
    return found


def test_a_new_optional_field_is_compatible(stage_event: dict[str, Any]) -> None:
    grown = copy.deepcopy(stage_event)
    grown["$defs"]["StageChanged"]["properties"]["mood"] = {"type": "string", "default": ""}
    assert incompatible(stage_event, grown) == []


@pytest.mark.parametrize("change", ["drop", "retype", "require", "move"])
def test_a_dropped_retyped_required_or_moved_field_is_not(stage_event: dict[str, Any], change: str) -> None:
    changed = copy.deepcopy(stage_event)
    event = changed["$defs"]["StageChanged"]
    if change == "drop":
        del event["properties"]["reason"]
    elif change == "retype":
        event["properties"]["cycle"] = {"type": "string"}
    elif change == "require":
        event["required"].append("rule")
    else:
        changed["x-topic"] = "leads.card"
    assert len(incompatible(stage_event, changed)) == 1
