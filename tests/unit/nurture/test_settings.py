"""What nurture reads from its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.nurture.settings import NurtureSettings
from shared.settings import BadSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NURTURE_FROM", "LEADLINE_COMPANY", "LEADLINE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@localhost/nothing")
    monkeypatch.setenv("LEADLINE_API_KEY", "the-operators-key")


def test_a_newcomer_need_set_nothing() -> None:
    settings = NurtureSettings.load()
    assert settings.sender == "Leadline <hello@localhost>"
    assert settings.sender_domain == "localhost"
    assert settings.kept_mails == Path(".leadline/mail")


def test_the_sender_is_set_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NURTURE_FROM", "Tarn Sensors <hello@tarn.example>")
    settings = NurtureSettings.load()
    assert settings.sender_domain == "tarn.example"


@pytest.mark.parametrize("sender", ["nobody", "Tarn <>", "a@b, c@d", "Tarn\r\nBcc: x@y <hello@tarn.example>", "a@@b"])
def test_a_sender_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("NURTURE_FROM", sender)
    with pytest.raises(BadSettings, match="NURTURE_FROM"):
        NurtureSettings.load()
