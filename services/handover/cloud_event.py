"""An event as a CloudEvent in the JSON format, for those who do not read Kafka."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from shared.events.envelope import SPEC_VERSION, Envelope, Event


def to_json(envelope: Envelope[Event]) -> dict[str, Any]:
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
