"""The JSON Schemas of all events, one file per event version in `docs/events/`: what others may rely on.

`python -m deploy.event_schemas` writes those that are missing. One that differs from its class is a test's business:
an event may only grow by optional, defaulted fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from shared.events.codec import EVENTS
from shared.events.envelope import Attributes

FOLDER = Path(__file__).parent.parent / "docs" / "events"


def schemas() -> dict[str, dict[str, Any]]:
    """Event type -> its JSON Schema, with the topic it is said on; and the attributes that all events carry."""
    attributes = {"$id": "urn:leadline:attributes", **msgspec.json.schema(Attributes)}
    return {"io.leadline.attributes": attributes} | {
        name: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:leadline:event:{name}",
            "x-topic": str(event.topic),
            **msgspec.json.schema(event),
        }
        for name, event in sorted(EVENTS.items())
    }


def as_text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def incompatible(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What an event written by the old class, or a reader of it, would stumble over under the new one."""
    found: list[str] = []
    if old.get("x-topic") != new.get("x-topic"):
        found.append(f"moved from {old.get('x-topic')} to {new.get('x-topic')}")
    new_types = new.get("$defs", {})
    for name, before in old.get("$defs", {}).items():
        if name not in new_types:
            found.append(f"{name} is gone")
            continue
        found += [f"{name}: {problem}" for problem in _changes(before, new_types[name])]
    return found


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    old_fields = cast("dict[str, Any]", before.get("properties", {}))
    new_fields = cast("dict[str, Any]", after.get("properties", {}))
    for field, shape in old_fields.items():
        if field not in new_fields:
            found.append(f"{field} is gone")
        elif not _accepts(new_fields[field], shape):
            found.append(f"{field} changed its type")
    newly = sorted(set(after.get("required", ())) - set(before.get("required", ())))
    return found + [f"{field} is required now" for field in newly]


def _accepts(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether the new shape takes every value of the old one; an enumeration or a union may only grow."""
    if "enum" in old and "enum" in new:
        return set(old["enum"]) <= set(new["enum"])
    if "anyOf" in old and "anyOf" in new:
        return all(any(_accepts(one, other) for one in new["anyOf"]) for other in old["anyOf"])
    plain = ("default", "title", "description")
    return {k: v for k, v in old.items() if k not in plain} == {k: v for k, v in new.items() if k not in plain}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        file = FOLDER / f"{name}.json"
        if not file.exists() or not incompatible(json.loads(file.read_text()), schema):
            file.write_text(as_text(schema))


if __name__ == "__main__":
    main()
