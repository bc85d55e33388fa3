"""Events as bytes and back: JSON text in the log, CloudEvents headers and a JSON value in Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast
from uuid import UUID

import msgspec

from shared.events import capture, handover, nurture, privacy, scoring, stage
from shared.events.envelope import SPEC_VERSION, Attributes, Envelope, Event

MODULES = (capture, scoring, nurture, handover, stage, privacy)


def _declared() -> Iterable[type[Event]]:
    for module in MODULES:
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Event) and thing.__dict__.get("type"):
                yield thing


EVENTS: dict[str, type[Event]] = {event.type: event for event in _declared()}

_attributes_decoder = msgspec.json.Decoder(Attributes)
_decoders: dict[str, msgspec.json.Decoder[Event]] = {
    name: msgspec.json.Decoder(event) for name, event in EVENTS.items()
}
_encoder = msgspec.json.Encoder()


class Undecodable(Exception):
    """The bytes are not an event we know; the message says what is wrong with them."""


class Stored(msgspec.Struct, frozen=True):
    """An event as it lies in a log or in a Kafka record: nothing is parsed yet.

    `place` is where it lies: (speaker, lane, position) in a log, (topic, partition, offset) in Kafka.
    """

    place: tuple[str, int, int]
    event_id: UUID
    topic: str
    lead_id: UUID
    seq: int
    type: str
    attributes: str
    body: str


def encode_body(data: Event) -> str:
    return _encoder.encode(data).decode()


def encode_attributes(attributes: Attributes) -> str:
    return _encoder.encode(attributes).decode()


def decode(stored: Stored) -> Envelope[Event]:
    """Parse a stored event. Raises `Undecodable` for an unknown type, a wrong topic or a body that does not fit."""
    decoder = _decoders.get(stored.type)
    if decoder is None:
        raise Undecodable(f"unknown event type {stored.type!r}")
    if EVENTS[stored.type].topic != stored.topic:
        raise Undecodable(f"{stored.type} does not belong on {stored.topic}")
    try:
        data = decoder.decode(stored.body)
        attributes = _attributes_decoder.decode(stored.attributes)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Undecodable(f"{stored.type}: {error}") from error
    return Envelope(id=stored.event_id, lead_id=stored.lead_id, seq=stored.seq, attributes=attributes, data=data)


def to_headers(stored: Stored) -> list[tuple[str, bytes]]:
    """Kafka headers of an event in the binary mode of the CloudEvents Kafka binding."""
    attributes = cast("dict[str, Any]", msgspec.json.decode(stored.attributes))
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(stored.event_id),
        "ce_type": stored.type,
        "ce_subject": str(stored.lead_id),
        "ce_seq": str(stored.seq),
        "content-type": "application/json",
    }
    headers |= {f"ce_{name}": _text(value) for name, value in attributes.items()}
    return [(name, value.encode()) for name, value in headers.items()]


def from_record(place: tuple[str, int, int], headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Stored:
    """The event in a Kafka record. Raises `Undecodable` when its headers are not those of an event.

    A record without a value is the tombstone of a card; what it says of itself stands in its headers.
    """
    try:
        given = {name: raw.decode() for name, raw in headers}
        attributes = {
            name[3:]: _value(name[3:], text)
            for name, text in given.items()
            if name.startswith("ce_") and name[3:] in _WIRE_ATTRIBUTES
        }
        return Stored(
            place=place,
            event_id=UUID(given["ce_id"]),
            topic=place[0],
            lead_id=UUID(given["ce_subject"]),
            seq=int(given["ce_seq"]),
            type=given["ce_type"],
            attributes=_encoder.encode(attributes).decode(),
            body=value.decode()
            if value is not None
            else _encoder.encode({"erasure_id": given.get("ce_causationid", "")}).decode(),
        )
    except (KeyError, ValueError) as error:
        raise Undecodable(f"not an event: {error!r}") from error


def to_json(envelope: Envelope[Event]) -> dict[str, Any]:
    """The event as a CloudEvent in the JSON format, for those who do not read Kafka."""
    attributes = cast("dict[str, Any]", msgspec.to_builtins(envelope.attributes))
    return {
        "specversion": SPEC_VERSION,
        "id": str(envelope.id),
        "type": envelope.type,
        "subject": str(envelope.lead_id),
        "seq": envelope.seq,
        "datacontenttype": "application/json",
        **attributes,
        "data": msgspec.to_builtins(envelope.data),
    }


_WIRE_ATTRIBUTES = frozenset(Attributes.__struct_fields__)
_BOOLEANS = frozenset({"test", "history"})
_NUMBERS = frozenset({"cardversion"})


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(name: str, text: str) -> str | bool | int:
    if name in _BOOLEANS:
        return text == "true"
    return int(text) if name in _NUMBERS else text


def schema_of(event: type[Event]) -> Mapping[str, Any]:
    """The JSON Schema of an event's data."""
    return msgspec.json.schema(event)
