from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from shared.settings import BadSettings, Settings


class CaptureSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="CAPTURE_")

    group_commit_rows: int


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only the two values that must be given."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://leadline:pw@db/leadline")
    monkeypatch.setenv("LEADLINE_API_KEY", "an-operators-key")
    return monkeypatch


def complaint(kind: type[Settings] = Settings) -> str:
    with pytest.raises(BadSettings) as caught:
        kind.load()
    return str(caught.value)


def test_an_empty_environment_names_everything_that_is_missing(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("DATABASE_URL")
    environment.setenv("LEADLINE_API_KEY", "")
    said = complaint()
    assert "DATABASE_URL: is not set" in said
    assert "LEADLINE_API_KEY: is not set" in said


def test_a_bad_start_ends_the_process_with_a_code_and_no_traceback() -> None:
    assert issubclass(BadSettings, SystemExit)


def test_what_is_not_given_has_its_default() -> None:
    settings = Settings.load()
    assert settings.kafka_bootstrap_servers is None
    assert settings.smtp_url is None
    assert (str(settings.timezone), settings.currency) == ("UTC", "EUR")
    assert (settings.data_dir, settings.host) == (Path(".leadline"), "127.0.0.1")
    ports = [settings.port_of(name) for name in ("capture", "scoring", "nurture", "handover", "insights")]
    assert ports == [8001, 8002, 8003, 8004, 8005]
    assert settings.public_url_of("handover") == "http://127.0.0.1:8004"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/leadline"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker-without-port"),
        ("SMTP_URL", "http://mail.example.com"),
        ("LEADLINE_TIMEZONE", "Mars/Olympus"),
        ("LEADLINE_CURRENCY", "Euro"),
        ("LEADLINE_CURRENCY", "EUX"),
        ("LEADLINE_PUBLIC_URL", "leads.example.com"),
        ("LEADLINE_PUBLIC_URL", "https://leads.example.com/?a=b"),
        ("CAPTURE_PORT", "eighty"),
        ("CAPTURE_PORT", "65536"),
        ("LEADLINE_API_KEY", "changeme"),
        ("LEADLINE_API_KEY", "Leadline"),
        ("LEADLINE_API_KEY", "CHANGE_ME"),
        ("LEADLINE_API_KEY", "pk_demo"),
        ("LEADLINE_SECRET", "secret"),
        ("LEADLINE_SECRET", "pk_test_demo"),
    ],
)
def test_a_wrong_value_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    said = complaint()
    assert f"{name}: " in said
    assert said.count("\n") == 1


def test_a_complaint_and_a_repr_hold_no_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMTP_URL", "smtp://user:hunter2@mail:587")
    shown = repr(Settings.load())
    assert not any(secret in shown for secret in ("hunter2", "an-operators-key", ":pw@"))
    environment.setenv("DATABASE_URL", "mysql://user:hunter2@db/leadline")
    assert "hunter2" not in complaint()


@pytest.mark.parametrize("given", ["postgres://h/d", "postgresql+asyncpg://h/d", "postgresql://h/d"])
def test_a_database_has_one_spelling_inside(environment: pytest.MonkeyPatch, given: str) -> None:
    environment.setenv("DATABASE_URL", given)
    assert Settings.load().database_url == "postgresql://h/d"


@pytest.mark.parametrize("given", ["a:9092", "a:9092,b.c:9093", "[::1]:9092"])
def test_brokers_are_host_and_port(environment: pytest.MonkeyPatch, given: str) -> None:
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    assert Settings.load().kafka_bootstrap_servers == given


@pytest.mark.parametrize(
    ("installation", "expected"),
    [
        ("http://192.168.1.5", "http://192.168.1.5:9001"),
        ("http://127.0.0.1:8005/", "http://127.0.0.1:9001"),
        ("http://[::1]:8005", "http://[::1]:9001"),
        ("https://leads.example.com/console", "https://leads.example.com:9001"),
    ],
)
def test_a_service_is_at_the_installations_host_on_its_own_port(
    environment: pytest.MonkeyPatch, installation: str, expected: str
) -> None:
    environment.setenv("LEADLINE_PUBLIC_URL", installation)
    environment.setenv("CAPTURE_PORT", "9001")
    assert Settings.load().public_url_of("capture") == expected


def test_a_services_own_public_address_wins(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LEADLINE_PUBLIC_URL", "https://leads.example.com")
    environment.setenv("HANDOVER_PUBLIC_URL", "https://sales.example.com/")
    assert Settings.load().public_url_of("handover") == "https://sales.example.com"


def test_a_services_own_settings_are_named_by_its_prefix(environment: pytest.MonkeyPatch) -> None:
    assert "CAPTURE_GROUP_COMMIT_ROWS: is not set" in complaint(CaptureSettings)
    environment.setenv("CAPTURE_GROUP_COMMIT_ROWS", "64")
    assert CaptureSettings.load().group_commit_rows == 64


def test_a_secret_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounted = tmp_path / "key"
    mounted.write_text("from-the-file\n")
    environment.delenv("LEADLINE_API_KEY")
    environment.setenv("LEADLINE_API_KEY_FILE", str(mounted))
    assert Settings.load().api_key == "from-the-file"


@pytest.mark.parametrize("name", ["LEADLINE_API_KEY", "LEADLINE_SECRET"])
def test_a_sample_in_a_file_is_a_sample_too(environment: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    mounted = tmp_path / "key"
    mounted.write_text("changeme\n")
    environment.delenv(name, raising=False)
    environment.setenv(f"{name}_FILE", str(mounted))
    assert f"{name}: is a sample value" in complaint()


def test_the_keys_are_in_the_data_folder_unless_another_place_is_named(environment: pytest.MonkeyPatch) -> None:
    assert Settings.load().keys_file == Path(".leadline/keys.json")
    environment.setenv("LEADLINE_DATA_DIR", "/var/lib/leadline")
    assert Settings.load().keys_file == Path("/var/lib/leadline/keys.json")
    environment.setenv("LEADLINE_KEYS_FILE", "/run/leadline/keys.json")
    assert Settings.load().keys_file == Path("/run/leadline/keys.json")


def test_a_value_given_twice_or_in_a_lost_file_stops_the_start(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("LEADLINE_API_KEY_FILE", str(tmp_path / "none"))
    assert "LEADLINE_API_KEY and LEADLINE_API_KEY_FILE are both set" in complaint()
    environment.delenv("LEADLINE_API_KEY")
    assert "LEADLINE_API_KEY_FILE cannot be read" in complaint()


def test_the_secret_stays_the_same_and_is_the_given_one_where_one_is_given(environment: pytest.MonkeyPatch) -> None:
    derived = Settings.load().secret
    assert derived == Settings.load().secret
    assert b"an-operators-key" not in derived
    environment.setenv("LEADLINE_SECRET", "kept-apart-from-the-key")
    own = Settings.load().secret
    environment.setenv("LEADLINE_API_KEY", "a-new-operators-key")
    assert Settings.load().secret == own != derived
    assert len(own) == len(derived) == 32
