"""What insights is told by its environment, beside what all services are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings


class InsightsSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="INSIGHTS_")

    # `open` lets whoever sits at this very machine read the console without a key; `key` asks everybody for it.
    console: Literal["open", "key"] = "key"
    # Browsers that may watch the stage changes at one time.
    stream_readers: int = Field(200, ge=1, le=10_000)

    company: str = Field("Leadline", validation_alias="LEADLINE_COMPANY", min_length=1, max_length=80)
