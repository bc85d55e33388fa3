"""How the plain routes look in the OpenAPI document; FastAPI describes only the routes it runs itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from fastapi.routing import APIRoute

from services.capture.bodies import ActivityItem, LeadBody, ViewBody
from shared.problems import MEDIA_TYPE

_SITE_KEY: Mapping[str, Any] = {
    "name": "X-Site-Key",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The publishable key of the site; may also be given as `site` in the query or the body.",
}
_IDEMPOTENCY_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key with the same body is given the same answer for 24 hours.",
}
_LEAD_ANSWER: Mapping[str, Any] = {
    "type": "object",
    "required": ["submission_id"],
    "properties": {
        "submission_id": {"type": "string", "format": "uuid"},
        "lead_id": {"type": ["string", "null"], "format": "uuid", "description": "With a key for posting only"},
        "created": {"type": "boolean", "description": "With a key for posting only"},
    },
}
_ACTIVITIES_ANSWER: Mapping[str, Any] = {
    "type": "object",
    "required": ["accepted", "rejected"],
    "properties": {
        "accepted": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}},
            },
        },
    },
}


async def described() -> None:
    """Stands for a route that runs outside FastAPI; never called, since that route comes first."""


def descriptions() -> Sequence[APIRoute]:
    """To be placed behind the plain routes they describe."""
    lead = _schema(LeadBody)
    activities = {
        "type": "object",
        "required": ["activities"],
        "properties": {
            "activities": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _schema(ActivityItem)}
        },
    }
    form = {name: {"schema": lead} for name in ("application/x-www-form-urlencoded", "multipart/form-data")}
    return [
        _route(
            "/v1/leads",
            "Take a lead in",
            "Needs an e-mail address or a telephone number. 202 once it is durable. A form posts flat names "
            "(`activity.type`, `fields.size`, `consent.marketing`) and is answered with 303 to its `redirect`.",
            {"application/json": {"schema": lead}, **form},
            _LEAD_ANSWER,
            {"303": {"description": "A form was taken; see `Location`"}, "default": _refused(MEDIA_TYPE, "text/html")},
        ),
        _route(
            "/v1/activities",
            "Record what leads and visitors did",
            "Up to 1,000 a call. Each names a `visitor_id`, or with a key for posting a `lead_id`.",
            {"application/json": {"schema": activities}},
            _ACTIVITIES_ANSWER,
            {},
        ),
        _route(
            "/v1/views",
            "Count a view of a form or page",
            "Nothing is kept of who saw it; the totals of a day are told by source and conversion point.",
            {"application/json": {"schema": _schema(ViewBody)}},
            {"type": "object"},
            {},
        ),
    ]


def _route(
    path: str,
    summary: str,
    description: str,
    content: Mapping[str, Any],
    answer: Mapping[str, Any],
    others: Mapping[str, Any],
) -> APIRoute:
    taken = {"description": "Taken and durable", "content": {"application/json": {"schema": answer}}}
    said = {
        "parameters": [_SITE_KEY, _IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": content},
        "responses": {"202": taken, "default": _refused(MEDIA_TYPE), **others},
    }
    return APIRoute(
        path,
        described,
        methods=["POST"],
        status_code=202,
        summary=summary,
        description=description,
        openapi_extra=said,
    )


def _refused(*media_types: str) -> Mapping[str, Any]:
    """Browsers that posted a form are shown a page."""
    return {"description": "A problem document (RFC 9457)", "content": {one: {} for one in media_types}}


def _schema(body: type[msgspec.Struct]) -> Mapping[str, Any]:
    """The JSON Schema of a body with everything it refers to in place."""
    found, parts = msgspec.json.schema_components([body], ref_template="#/{name}")
    return cast("Mapping[str, Any]", _resolved(found[0], parts))


def _resolved(node: object, parts: Mapping[str, Any]) -> object:
    if isinstance(node, list):
        return [_resolved(one, parts) for one in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    members = cast("dict[str, object]", node)
    if isinstance(ref := members.get("$ref"), str):
        return _resolved(parts[ref.removeprefix("#/")], parts)
    return {name: _resolved(value, parts) for name, value in members.items()}
