"""Events as bytes and back: JSON text in the log, CloudEvents headers and a JSON value in Kafka."""

from __future__ import annotations

from collections.abc import Iterable
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
    attributes: dict[str, str | int | bool] = {
        "specversion": SPEC_VERSION,
        "id": str(stored.event_id),
        "type": stored.type,
        "subject": str(stored.lead_id),
        "seq": stored.seq,
        **msgspec.json.decode(stored.attributes),
    }
    # As JSON writes them: a boolean is true or false.
    words = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in attributes.items()}
    headers = [(f"ce_{name}", word.encode()) for name, word in words.items()]
    return [*headers, ("content-type", b"application/json")]


def from_record(place: tuple[str, int, int], headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Stored:
    """The event in a Kafka record. Raises `Undecodable` when its headers are not those of an event.

    A record without a value is the tombstone of a card; what it says of itself stands in its headers.
    """
    try:
        given = {name[3:]: raw.decode() for name, raw in headers if name.startswith("ce_")}
        attributes = msgspec.convert(given, Attributes, strict=False)
        return Stored(
            place=place,
            event_id=UUID(given["id"]),
            topic=place[0],
            lead_id=UUID(given["subject"]),
            seq=int(given["seq"]),
            type=given["type"],
            attributes=encode_attributes(attributes),
            body=encode_body(capture.CardErased(erasure_id=attributes.causationid))
            if value is None
            else value.decode(),
        )
    except (KeyError, ValueError, msgspec.ValidationError) as error:
        raise Undecodable(f"not an event: {error!r}") from error
