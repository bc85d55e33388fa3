"""What nurture is told beside the settings that all services share."""

from __future__ import annotations

import re
from email.utils import getaddresses, parseaddr
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def _sender(value: str) -> str:
    addresses = getaddresses([value])
    if len(addresses) != 1 or not _ADDRESS.fullmatch(addresses[0][1]) or not value.isprintable():
        raise ValueError("must look like Leadline <hello@example.com>")
    return value


class NurtureSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="NURTURE_")

    sender: Annotated[str, AfterValidator(_sender)] = Field(
        "Leadline <hello@localhost>", validation_alias="NURTURE_FROM"
    )
    company: str = Field("Leadline", validation_alias="LEADLINE_COMPANY", min_length=1, max_length=80)

    @property
    def kept_mails(self) -> Path:
        """Where mails are kept as files when no mail server is set."""
        return self.data_dir / "mail"

    @property
    def sender_domain(self) -> str:
        return parseaddr(self.sender)[1].partition("@")[2]
