"""What capture is told by its environment, beside what all services share."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings

_NEAR = (".localhost", ".local", ".internal", ".test")


def may_have_demo(public_url: str) -> bool:
    """Whether an address is of this machine or of a network of one's own: `pk_demo` is in every copy of Leadline."""
    host = urlsplit(public_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_NEAR)


class CaptureSettings(Settings):
    model_config = SettingsConfigDict(**Settings.model_config | {"env_prefix": "CAPTURE_"})

    # Makes the site `demo` with the key pk_demo, open to pages of this machine; without it that key opens nothing.
    demo_site: bool = False
    # The country in which a number without a country code is dialled, as an ISO 3166 code, where the site has none.
    phone_region: str = ""
    # Activity types of one's own beside the built-in ones, separated by commas.
    activity_types: str = Field("", pattern=r"^[a-z0-9_, ]*$")
    # When nothing has been stored for this long, the database is asked whether it is there, and has as long to answer.
    stalled_seconds: float = Field(0.4, gt=0)
    # No request waits longer than this.
    deadline_seconds: float = Field(5.0, gt=0)
    # Requests that may wait for their commit; more are turned away at once.
    most_waiting: int = Field(2000, ge=1)
    # What visitors did who never said who they are is forgotten after this many days.
    anonymous_days: int = Field(90, ge=1)

    @field_validator("phone_region")
    @classmethod
    def _refuse_no_country(cls, code: str) -> str:
        # Knowing all countries takes a moment, which only who names one shall pay.
        from services.capture.domain.contact import is_region

        if code and not is_region(code):
            raise ValueError("must be the two capitals of a country, such as SE")
        return code

    @field_validator("demo_site")
    @classmethod
    def _refuse_in_public(cls, wanted: bool, info: ValidationInfo) -> bool:
        address = str(info.data.get("capture_public_url") or info.data.get("public_url") or "")
        if wanted and not may_have_demo(address):
            raise ValueError(f"the key pk_demo is known to everybody, and {address} can be reached by everybody")
        return wanted
