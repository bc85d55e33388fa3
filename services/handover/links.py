"""Signed links for reps, who need no login: one for each offer, one for each rep's worklist."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.handover.settings import HandoverSettings
from shared.security import Signer


class Links:
    """A link says only an id; whoever holds it may do what it is for. `read_*` raise `BadLink`."""

    def __init__(self, settings: HandoverSettings) -> None:
        self._public_url = settings.public_url_of("handover")
        self._offers = Signer("offer", settings.secret)
        self._worklists = Signer("rep worklist", settings.secret)

    def offer(self, offer_id: UUID) -> str:
        return f"{self._public_url}{self.offer_path(offer_id)}"

    def offer_path(self, offer_id: UUID) -> str:
        return f"/offers/{self._offers.sign(str(offer_id))}"

    def worklist(self, rep_id: UUID) -> str:
        return f"{self._public_url}{self.worklist_path(rep_id)}"

    def worklist_path(self, rep_id: UUID) -> str:
        return f"/worklist/{self._worklists.sign(str(rep_id))}"

    def read_offer(self, token: str, now: datetime) -> UUID:
        return UUID(self._offers.read(token, now))

    def read_worklist(self, token: str, now: datetime) -> UUID:
        return UUID(self._worklists.read(token, now))
