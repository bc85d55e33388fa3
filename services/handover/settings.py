"""What handover is told by its environment, beside what all services are."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from services.handover.domain.working_hours import WorkingHours
from shared.settings import Settings


def _hours(value: str) -> str:
    WorkingHours.parse(value)
    return value


def _sender(value: str) -> str:
    if not value.isprintable() or not parseaddr(value)[1].partition("@")[2]:
        raise ValueError("must look like Leadline <offers@example.com>")
    return value


class HandoverSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="HANDOVER_")

    # How long a rep has to answer, counted in working minutes.
    offer_minutes: int = Field(15, ge=1, le=14_400)
    # Reps asked in turn before the fallback owner gets the lead.
    attempts: int = Field(3, ge=1, le=50)
    # Gets what nobody took; without one, the rep who was there first does.
    fallback_email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$")

    working_hours: Annotated[str, AfterValidator(_hours)] = Field(
        "Mon-Fri 09:00-18:00", validation_alias="LEADLINE_WORKING_HOURS"
    )
    company: str = Field("Leadline", validation_alias="LEADLINE_COMPANY", min_length=1, max_length=80)
    sender: Annotated[str, AfterValidator(_sender)] = Field(
        "Leadline <offers@localhost>", validation_alias="HANDOVER_FROM"
    )

    @property
    def hours(self) -> WorkingHours:
        return WorkingHours.parse(self.working_hours, self.timezone)

    @property
    def offer_lasts(self) -> timedelta:
        return timedelta(minutes=self.offer_minutes)

    @cached_property
    def sender_domain(self) -> str:
        return parseaddr(self.sender)[1].partition("@")[2]
