"""`pk_demo` stands in every copy of Leadline, so it is kept to installations that nobody else can reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.run import prepare_environment
from services.capture.settings import CaptureSettings, may_have_demo
from shared.settings import BadSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # One of our own: what `prepare_environment` sets must not stay.
    monkeypatch.setattr(
        os, "environ", {"DATABASE_URL": "postgresql://db/leadline", "LEADLINE_API_KEY": "an-operators-key"}
    )
    return monkeypatch


@pytest.mark.parametrize("code", ["UK", "se", "Sweden", "+46"])
def test_a_country_that_is_none_is_named_at_the_start_and_not_to_everybody_who_leaves_a_number(
    environment: pytest.MonkeyPatch, code: str
) -> None:
    environment.setenv("CAPTURE_PHONE_REGION", "SE")
    assert CaptureSettings.load().phone_region == "SE"
    environment.setenv("CAPTURE_PHONE_REGION", code)
    with pytest.raises(BadSettings, match="CAPTURE_PHONE_REGION"):
        CaptureSettings.load()


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("http://127.0.0.1", True),
        ("http://localhost:8001", True),
        ("http://[::1]:8001", True),
        ("http://192.168.1.5", True),
        ("http://capture:8001", True),
        ("https://leads.test", True),
        ("https://leads.example.com", False),
        ("http://8.8.8.8", False),
        ("https://localhost.example.com", False),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_the_demo_is_for_this_machine_and_a_network_of_ones_own(address: str, near: bool) -> None:
    assert may_have_demo(address) is near


@pytest.mark.parametrize("variable", ["LEADLINE_PUBLIC_URL", "CAPTURE_PUBLIC_URL"])
def test_capture_does_not_start_with_it_where_everybody_can_come(variable: str) -> None:
    os.environ["CAPTURE_DEMO_SITE"] = "on"
    assert CaptureSettings.load().demo_site
    os.environ[variable] = "https://leads.example.com"
    with pytest.raises(BadSettings, match="CAPTURE_DEMO_SITE: the key pk_demo is known to everybody"):
        CaptureSettings.load()
    os.environ["CAPTURE_DEMO_SITE"] = "off"
    assert not CaptureSettings.load().demo_site


def test_what_runs_everything_here_turns_it_on_unless_everybody_can_come(tmp_path: Path) -> None:
    prepare_environment(tmp_path)
    assert os.environ.pop("CAPTURE_DEMO_SITE") == "on"
    os.environ["LEADLINE_PUBLIC_URL"] = "https://leads.example.com"
    prepare_environment(tmp_path)
    assert not CaptureSettings.load().demo_site
