"""What Leadline offers to programs, as documents: OpenAPI 3.1 of each service and AsyncAPI 3.0 of its events.

`python -m deploy.api_documents` writes them to `docs/api/`; a test fails when they say something else than the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from deploy.topic_map import declared
from shared.events.codec import EVENTS
from shared.events.envelope import SPEC_VERSION, Attributes, Event
from shared.events.privacy import ErasureDone
from shared.events.topics import Topic
from shared.service import Runtime, Service

FOLDER = Path(__file__).parent.parent / "docs" / "api"

_TOPICS: Mapping[Topic, str] = {
    Topic.CARD: "All that is known of a person. The only topic with personal data; compacted, an empty value is a "
    "tombstone.",
    Topic.ACTIVITY: "What leads did.",
    Topic.STAGE: "Each change of a lead's stage, said by the service that owned it.",
    Topic.SCORE: "Scores as they change, with the reasons that weigh most.",
    Topic.NURTURE: "Journeys and the mails in them.",
    Topic.HANDOVER: "Offers to reps, what they answered, and what became of the deal.",
    Topic.PRIVACY: "Which service has erased whom.",
    Topic.MARKET: "Visits and form views, counted by site and day; no leads.",
}


def documents() -> dict[str, dict[str, Any]]:
    """File name -> document."""
    services = declared()
    found = {f"{name}.openapi.json": _openapi(service) for name, service in services.items()}
    return found | {"events.asyncapi.json": asyncapi(services)}


def as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _openapi(service: Service[Any]) -> dict[str, Any]:
    """As its `/openapi.json` says, whatever the installation: nothing is connected to for it."""
    settings = service.settings(DATABASE_URL="postgresql://localhost/leadline", LEADLINE_API_KEY="for-the-document")  # pyright: ignore[reportCallIssue]
    return Runtime(service, settings).app().openapi()


def asyncapi(services: Mapping[str, Service[Any]]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leadline events",
            "version": "1",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "description": "CloudEvents 1.0 in the binary mode of the Kafka binding. The key is the lead's id, and the "
            "events of a lead come in order per topic, numbered from 1 without gaps in `ce_seq`; there is no order "
            "between topics. Delivery is at least once.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.word: _channel(topic) for topic in Topic},
        "operations": _operations(services),
        "components": {
            "messages": {_word(event): _message(event, schemas) for event in EVENTS.values()},
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
            "schemas": schemas,
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    events = [event for event in EVENTS.values() if event.topic is topic]
    return {
        "address": topic.value,
        "description": _TOPICS[topic],
        "messages": {_word(event): {"$ref": f"#/components/messages/{_word(event)}"} for event in events},
        "bindings": {"kafka": {"topic": topic.value}},
    }


def _operations(services: Mapping[str, Service[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, service in services.items():
        # Every service answers an erasure; the plumbing says so for it.
        says = dict.fromkeys((*service.publishes, ErasureDone))
        for action, verb, events in (("send", "says", says), ("receive", "hears", service.consumes)):
            for topic in Topic:
                words = [_word(event) for event in events if event.topic is topic]
                if words:
                    found[f"{name}.{verb}.{topic.word}"] = _operation(action, topic, words)
    return found


def _operation(action: str, topic: Topic, words: Iterable[str]) -> dict[str, Any]:
    channel = f"#/channels/{topic.word}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{word}"} for word in words],
    }


def _message(event: type[Event], schemas: dict[str, Any]) -> dict[str, Any]:
    (shape,), parts = msgspec.json.schema_components([event], ref_template="#/components/schemas/{name}")
    schemas.update(parts)
    return {
        "name": event.type,
        "summary": (event.__doc__ or "").strip().partition("\n")[0],
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": shape,
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid", "description": "The lead's id."}}},
    }


def _headers() -> dict[str, Any]:
    """Kafka headers are bytes; these are their texts."""
    own = {
        "ce_specversion": {"type": "string", "const": SPEC_VERSION},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_type": {"type": "string"},
        "ce_subject": {"type": "string", "format": "uuid", "description": "The lead's id."},
        "ce_seq": {"type": "string", "pattern": "^[0-9]+$"},
        "content-type": {"type": "string", "const": "application/json"},
    }
    attributes = {f"ce_{name}": {"type": "string"} for name in Attributes.__struct_fields__}
    needed = [f"ce_{field.name}" for field in msgspec.structs.fields(Attributes) if field.required]
    return {"type": "object", "properties": own | attributes, "required": [*own, *needed]}


def _word(event: type[Event]) -> str:
    """`stage.changed.v1`"""
    return event.type.removeprefix("io.leadline.")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(as_text(document))


if __name__ == "__main__":
    main()
