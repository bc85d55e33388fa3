"""Visitors, reps, lead managers and customers who do one thing after the other, whatever the lead has come to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from services.capture.domain.activity import ACTIVITY_TYPES
from shared.lifecycle import Stage
from shared.reasons import Reason
from tests.support.installation import KEY, Installation
from tests.support.plain_http import NO_CERTIFICATES

_OUTCOMES = ("opportunity", "won", "lost", "disqualified", "fulfilled", "paid")
_WITH_VALUE = ("opportunity", "won", "paid")
_WITH_REASON = ("lost", "disqualified")


@dataclass
class People:
    """Few addresses and telephone numbers, so that the same people come again and again."""

    inst: Installation
    dice: Random
    reps: list[str]
    leads: list[str] = field(default_factory=list[str])
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    async def live(self, deeds: int, at_once: int) -> None:
        """So many deeds; a refusal is an answer like any other, an error of the server is none."""
        apis = {name: self._api(name) for name in self.inst.ports}
        turns = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with turns:
                what, service, path, body = self._deed()
                status = await _answered(apis[service], path, body)
                self.answers[what, status] += 1

        await asyncio.gather(*(one() for _ in range(deeds)))
        for api in apis.values():
            await api.aclose()

    def _api(self, service: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.AsyncClient(
            base_url=self.inst.url(service), headers=headers, timeout=30, verify=NO_CERTIFICATES,
            event_hooks={"response": [self._remember]},
        )  # fmt: skip

    async def _remember(self, answer: httpx.Response) -> None:
        await answer.aread()
        lead = answer.json().get("lead_id", "") if answer.status_code == 202 else ""
        if lead and lead not in self.leads:
            self.leads.append(lead)

    def _deed(self) -> tuple[str, str, str, Mapping[str, Any]]:
        deeds = (self._submit, self._submit, self._act, self._accept, self._accept, self._give_back, self._report,
                 self._report, self._move)  # fmt: skip
        deed = self.dice.choice(deeds) if self.leads else self._submit
        return deed()

    def _submit(self) -> tuple[str, str, str, Mapping[str, Any]]:
        dice, number = self.dice, self.dice.randrange(40)
        reached = dice.choice([("email",), ("phone",), ("email", "phone")])
        points = {"email": f"p{number}@{dice.choice(['gmail.com', 'norrvik.com'])}", "phone": f"+4930901{number:04d}"}
        body = {kind: points[kind] for kind in reached} | {
            "site": "demo",
            "name": dice.choice(["Zoë Ölund", "李雷", "Ann O'Neil"]),
            "fields": {dice.choice(["role", "company_size"]): dice.choice(["head of sales", "51-200"])},
            "activity": {"type": dice.choice(["demo_requested", "asset_downloaded", "form_submitted"])},
            "consent": {"marketing_email": {"granted": dice.random() < 0.6, "text": "Write to me."}},
        }
        return "submit", "capture", "/v1/leads", body

    def _act(self) -> tuple[str, str, str, Mapping[str, Any]]:
        told: dict[str, str] = {
            "lead_id": self.dice.choice(self.leads),
            "type": self.dice.choice(sorted(ACTIVITY_TYPES)),
        }
        told |= {"value": "12.50", "currency": "EUR"} if told["type"] == "purchase" else {}
        told |= {"reason": "spam"} if told["type"] == "flagged" else {}
        return "act", "capture", "/v1/activities", {"activities": [told] * self.dice.choice([1, 2])}

    def _accept(self) -> tuple[str, str, str, Mapping[str, Any]]:
        return "accept", *self._to_sales("accept", {"rep": self.dice.choice(self.reps)})

    def _give_back(self) -> tuple[str, str, str, Mapping[str, Any]]:
        body = {"rep": self.dice.choice(self.reps), "reason": self.dice.choice(["bad_timing", "no_budget", "no_need"])}
        return "return", *self._to_sales("return", body)

    def _report(self) -> tuple[str, str, str, Mapping[str, Any]]:
        body = {"outcome": self.dice.choice(_OUTCOMES)}
        body |= {"value": "99.90", "currency": "EUR"} if body["outcome"] in _WITH_VALUE else {}
        body |= {"reason": "no_need"} if body["outcome"] in _WITH_REASON else {}
        return "report", *self._to_sales("outcome", body)

    def _to_sales(self, what: str, body: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
        return "handover", f"/v1/leads/{self.dice.choice(self.leads)}/{what}", body

    def _move(self) -> tuple[str, str, str, Mapping[str, Any]]:
        service = self.dice.choice(["capture", "scoring", "handover"])
        to = self.dice.choice(list(Stage))
        body = {"to": to, "reason": Reason.spam if to is Stage.disqualified else Reason.manual}
        return "move", service, f"/v1/leads/{self.dice.choice(self.leads)}/stage", body


async def _answered(api: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> int:
    """Asked again while the service is away, with the same key."""
    key = {"Idempotency-Key": uuid4().hex}
    while True:
        try:
            answer = await api.post(path, json=body, headers=key)
        except httpx.TransportError:
            answer = httpx.Response(503)
        if answer.status_code != 503:
            return answer.status_code
        await asyncio.sleep(0.1)
