"""The documents that programs are built on say what the code does, and are what they claim to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from openapi_spec_validator import validate

from deploy.api_documents import FOLDER, as_text, documents
from shared.events.codec import EVENTS, Stored, to_headers

# The published schema of AsyncAPI 3.0.0, Apache-2.0, from the package @asyncapi/specs 6.11.1, without its line breaks.
ASYNCAPI = Path(__file__).parent / "data" / "asyncapi-3.0.0.json"
PUBLISHED = {file.name: file.read_text() for file in sorted(FOLDER.glob("*.json"))}
SERVICES = [name for name in PUBLISHED if name.endswith(".openapi.json")]


@pytest.fixture(scope="module")
def events() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PUBLISHED["events.asyncapi.json"])
    return found


def test_each_document_in_the_tree_says_what_the_code_says() -> None:
    assert {name: as_text(document) for name, document in documents().items()} == PUBLISHED, (
        "the code and docs/api differ: `python -m deploy.api_documents` writes them anew"
    )


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_described_in_valid_openapi(name: str) -> None:
    validate(json.loads(PUBLISHED[name]))


def test_the_events_are_described_in_valid_asyncapi(events: dict[str, Any]) -> None:
    problems = Draft7Validator(json.loads(ASYNCAPI.read_text())).iter_errors(events)
    assert [f"{list(problem.absolute_path)}: {problem.message}" for problem in problems] == []


def test_every_reference_in_it_leads_somewhere(events: dict[str, Any]) -> None:
    def references(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [one for value in part.values() for one in references(value)]
        return [one for value in part for one in references(value)] if isinstance(part, list) else []

    for reference in references(events):
        place: Any = events
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_it_names_every_event_and_the_headers_that_are_sent(events: dict[str, Any]) -> None:
    assert {message["name"] for message in events["components"]["messages"].values()} == set(EVENTS)
    attributes = json.dumps(
        dict.fromkeys(("source", "site", "product", "actorkind", "actorid", "traceparent", "causationid"), "x")
        | dict.fromkeys(("time", "recordedtime"), "2026-03-01T09:30:00Z")
        | {"test": True, "history": True, "cardversion": 1}
    )
    stored = Stored(("", 0, 0), *[None] * 3, 1, "", attributes, "")  # type: ignore[arg-type]
    headers = events["components"]["messageTraits"]["cloudEvent"]["headers"]
    assert {name for name, _ in to_headers(stored)} == set(headers["properties"])
    assert set(headers["required"]) <= set(headers["properties"])
