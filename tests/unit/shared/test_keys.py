from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared import keys as keys_module
from shared.keys import BadKeys, Keys, Scope, hash_key, read_keys

PROJECT = Path(__file__).parents[3]
OPERATOR = "the-operators-key"


def entry(key: str, *scopes: str, **changes: Any) -> dict[str, Any]:
    made = {"id": f"k_{key}", "name": key, "hash": hash_key(key), "scopes": list(scopes)}
    return made | {"created_at": "2026-03-01T09:00:00Z"} | changes


def write(file: Path, *entries: dict[str, Any]) -> None:
    """In one step, as the command does."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(entries))
    fresh.replace(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that only the test lets pass."""
    now = [100.0]
    monkeypatch.setattr(keys_module.time, "monotonic", lambda: now[0])
    return now


def test_the_operators_key_has_every_scope_and_needs_no_file(file: Path) -> None:
    for keys in (Keys(OPERATOR), Keys(OPERATOR, file)):
        found = keys.find(OPERATOR)
        assert found is not None
        assert (found.id, found.scopes) == ("operator", frozenset(Scope))
        for wrong in ("", "wrong", OPERATOR + " ", hash_key(OPERATOR)):
            assert keys.find(wrong) is None


def test_a_key_in_the_file_is_found_by_itself_and_not_by_its_hash(file: Path) -> None:
    write(file, entry("crm", "read", "events"), entry("shop", "post"))
    keys = Keys(OPERATOR, file)
    crm, shop = keys.find("crm"), keys.find("shop")
    assert crm is not None
    assert shop is not None
    assert (crm.id, crm.scopes) == ("k_crm", {Scope.read, Scope.events})
    assert (shop.id, shop.scopes) == ("k_shop", {Scope.post})
    assert keys.find(hash_key("crm")) is None


def test_a_changed_file_is_seen_after_a_second_and_not_looked_at_before(file: Path, clock: list[float]) -> None:
    keys = Keys(OPERATOR, file)
    write(file, entry("crm", "read"))
    clock[0] += 0.9
    assert keys.find("crm") is None
    clock[0] += 0.2
    assert keys.find("crm") is not None
    write(file, entry("shop", "post"))
    clock[0] += 1.1
    assert keys.find("crm") is None
    assert keys.find("shop") is not None
    file.unlink()
    clock[0] += 1.1
    assert keys.find("shop") is None


def test_a_file_that_is_as_it_was_is_not_read_again(
    file: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, entry("crm", "read"))
    keys = Keys(OPERATOR, file)
    monkeypatch.setattr(Path, "read_bytes", lambda _file: pytest.fail("read again"))
    for _ in range(3):
        clock[0] += 1.1
        assert keys.find("crm") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '["k_1"]',
        json.dumps([entry("crm", "read") | {"scopes": ["everything"]}]),
        json.dumps([entry("crm", "read", hash="crm")]),
        json.dumps([{name: value for name, value in entry("crm", "read").items() if name != "scopes"}]),
        b"\xff\xfe",
    ],
)
def test_a_broken_file_stops_the_start_with_its_name_and_later_leaves_the_keys_as_they_were(
    file: Path, clock: list[float], text: str | bytes
) -> None:
    write(file, entry("crm", "read"))
    keys = Keys(OPERATOR, file)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadKeys, match=f"The keys in {file} cannot be read"):
        Keys(OPERATOR, file)
    clock[0] += 1.1
    with capture_logs() as lines:
        assert keys.find("crm") is not None
        assert keys.find(OPERATOR) is not None
    assert [(line["event"], line["log_level"]) for line in lines] == [("keys_not_read", "critical")]
    write(file, entry("shop", "post"))
    clock[0] += 1.1
    assert keys.find("crm") is None
    assert keys.find("shop") is not None


def test_a_folder_in_its_place_is_no_file(file: Path, clock: list[float]) -> None:
    keys = Keys(OPERATOR, file)
    file.mkdir()
    with pytest.raises(BadKeys, match="cannot be read"):
        read_keys(file)
    clock[0] += 1.1
    with capture_logs() as lines:
        assert keys.find("crm") is None
    assert [line["event"] for line in lines] == ["keys_not_read"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_stops_the_start(file: Path) -> None:
    write(file, entry("crm", "read"))
    file.chmod(0)
    with pytest.raises(BadKeys, match="Permission denied"):
        Keys(OPERATOR, file)


def test_a_service_does_not_start_with_a_broken_file_and_says_which(file: Path) -> None:
    file.write_text("[")
    given = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "LEADLINE_API_KEY": OPERATOR}
    ended = subprocess.run(
        [sys.executable, "-m", "services.scoring", "api"],
        cwd=PROJECT,
        env=os.environ | given | {"LEADLINE_KEYS_FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"The keys in {file} cannot be read: ")
    assert "Traceback" not in ended.stderr
