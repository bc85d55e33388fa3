"""What the page of a lead is told by the services that know: the points, the whole card, the offers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from fastapi import Request

from services.insights.domain.words import reason, words
from services.insights.services import Answer, Services, path_of
from shared.keys import Scope
from shared.service import runtime_of

OFFERS = {
    "open": ("asked", "note"),
    "accepted": ("took it", "ok"),
    "returned": ("returned it", "plain"),
    "expired": ("did not answer in time", "bad"),
    "withdrawn": ("not asked any more", "plain"),
    "closed": ("worked on it", "ok"),
}
"""What became of an offer, and the kind of its chip."""


async def told_of_lead(request: Request, lead_id: UUID, heard: Mapping[str, Any]) -> dict[str, object]:
    """Variables of `lead.html` in the place of those that were `heard`, where the service that knows answers."""
    services: Services = runtime_of(request).attached["services"]
    score, card, offers = await asyncio.gather(
        services.get(request, "scoring", path_of("v1", "leads", lead_id, "score")),
        services.get(request, "capture", path_of("v1", "leads", lead_id)),
        services.get(request, "handover", path_of("v1", "leads", lead_id, "offers")),
    )
    told = [_offer(offer) for offer in offers.said.get("items", ())]
    return {
        "lead": {**heard["lead"], **_with(heard["lead"], told)},
        "score": _score(score.said) if score.ok else heard["score"],
        "card": _card(card.said) if card.ok else None,
        "offers": told,
        "asked": _asked(request, offers),
        "problems": {"score": _problem(score), "card": _problem(card), "offers": _problem(offers)},
    }


async def with_names_of_reps(request: Request, leads: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each lead with the name of its owner, whom events name by id alone, where handover tells it."""
    if not any(lead["rep"] for lead in leads):
        return list(leads)
    services: Services = runtime_of(request).attached["services"]
    found = await services.get(request, "handover", "/v1/reps", limit="200")
    names = {rep["rep_id"]: rep["name"] for rep in found.said.get("items", ())}
    return [{**lead, "owner": names.get(lead["rep"], lead["owner"])} for lead in leads]


def _asked(request: Request, offers: Answer) -> str:
    """The rep in whose name whoever looks may answer: who was asked last, or has the lead."""
    given: list[dict[str, Any]] = offers.said.get("items", [])
    answers = given and given[-1]["state"] in ("open", "accepted") and Scope.work in request.state.visitor.key.scopes
    return given[-1]["rep"] if answers else ""


def _with(lead: Mapping[str, Any], offers: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Whose the lead is by name, and until when they may answer."""
    return {"owner": offers[-1]["rep"], "due": offers[-1]["due"]} if lead["owner"] and offers else {}


def _problem(answer: Answer) -> str:
    """A lead that a service has not heard of yet is no problem."""
    return "" if answer.status == 404 else answer.problem


def _score(said: Mapping[str, Any]) -> dict[str, object]:
    given: list[dict[str, Any]] = sorted(said["entries"], key=_weight, reverse=True)
    entries = [{**entry, "rule": words(entry["rule"]), "at": datetime.fromisoformat(entry["at"])} for entry in given]
    parts = {name: said[name] for name in ("score", "fit", "engagement", "grade")}
    return {**parts, "rule_version": said["rules_version"], "entries": entries}


def _weight(entry: Mapping[str, Any]) -> float:
    return abs(entry["points"])


def _card(said: Mapping[str, Any]) -> dict[str, object]:
    first, last = (cast("dict[str, Any]", said[name]) for name in ("first_touch", "last_touch"))
    return {
        "points": said["contact_points"],
        "answers": {words(name): value for name, value in said["answers"].items()},
        "message": said["message"],
        "first": where_from(first),
        "last": where_from(last) if last != first else "",
        "site": said["site"],
        "product": said["product"],
        "created_at": datetime.fromisoformat(said["created_at"]) if said["created_at"] else None,
    }


def where_from(touch: Mapping[str, Any]) -> str:
    """`paid search, google, cpc, spring`"""
    channel = str(touch["channel"]).replace("_", " ")  # a word of ours; the others are what was posted
    named = [channel, *(str(touch[name]) for name in ("source", "medium", "campaign"))]
    return ", ".join(dict.fromkeys(name for name in named if name))


def _offer(offer: Mapping[str, Any]) -> dict[str, object]:
    became, kind = OFFERS.get(offer["state"], (words(offer["state"]), "plain"))
    return {
        "rep": offer["rep_name"],
        "became": became,
        "kind": kind,
        "reason": reason(offer["reason"]) if offer["reason"] else "",
        "at": datetime.fromisoformat(offer["offered_at"]),
        "due": datetime.fromisoformat(offer["due_at"]) if offer["due_at"] and offer["state"] == "open" else None,
    }
