"""What insights is told by its environment, beside what all services are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings


def _with_places(address: str) -> str:
    if not re.fullmatch(r"https?://([^/?#\s{}]|\{service\}|\{port\})+(/([^?#\s{}]|\{service\})*)?", address):
        raise ValueError("must look like http://{service}:{port}")
    return address.rstrip("/")


class InsightsSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="INSIGHTS_")

    # `open` lets whoever sits at this very machine read the console; `key` has everybody sign in, or bring a key.
    console: Literal["open", "key"] = "key"
    # Browsers that may watch the stage changes at one time.
    stream_readers: int = Field(200, ge=1, le=10_000)

    given_accounts_file: Path | None = Field(None, validation_alias="LEADLINE_ACCOUNTS_FILE")

    # Where the console asks the other services, from inside: `{service}` and `{port}` stand for theirs.
    services_url: Annotated[str, AfterValidator(_with_places)] = "http://127.0.0.1:{port}"

    company: str = Field("Leadline", validation_alias="LEADLINE_COMPANY", min_length=1, max_length=80)

    @property
    def accounts_file(self) -> Path:
        """Where the accounts of people are; there may be none."""
        return self.given_accounts_file or self.data_dir / "accounts.json"

    def address_of(self, service: str) -> str:
        return self.services_url.format(service=service, port=self.port_of(service))
