"""`leadline keys`, as it is typed."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from shared.keys import Keys, Scope, read_keys

OPERATOR = "the-operators-key"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LEADLINE_KEYS_FILE", raising=False)
    monkeypatch.setenv("LEADLINE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "keys.json"


def leadline(*words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words])


def test_a_made_key_opens_and_its_file_holds_no_key(file: Path) -> None:
    made = leadline("make", "CRM of sales", "--scope", "read", "--scope", "events")
    assert made.exit_code == 0
    given = made.stdout.strip()
    assert given.startswith("lk_")
    assert len(given) == len("lk_") + 43
    found = Keys(OPERATOR, file).find(given)
    assert found is not None
    assert (found.name, found.scopes) == ("CRM of sales", {Scope.read, Scope.events})
    assert given not in file.read_text()
    assert given.removeprefix("lk_") not in file.read_text()
    assert found.id in made.stderr
    assert given not in made.stderr
    for one in file.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600


def test_the_list_tells_them_apart_and_shows_no_hash(file: Path) -> None:
    assert "no key but the operator's" in leadline("list").stdout
    leadline("make", "crm", "--scope", "work", "--scope", "read")
    leadline("make", "web shop", "--scope", "post")
    lines = leadline("list").stdout.splitlines()
    assert [line.split()[-2:] for line in lines] == [["read", "work"], [lines[1].split()[-2], "post"]]
    for key, line in zip(read_keys(file), lines, strict=True):
        assert line.startswith(key.id)
        assert key.hash not in line


def test_a_revoked_key_opens_nothing_and_the_others_still_do(file: Path) -> None:
    crm = leadline("make", "crm", "--scope", "read").stdout.strip()
    shop = leadline("make", "shop", "--scope", "post").stdout.strip()
    assert leadline("revoke", read_keys(file)[0].id).exit_code == 0
    keys = Keys(OPERATOR, file)
    assert keys.find(crm) is None
    assert keys.find(shop) is not None


def test_an_unknown_id_a_broken_file_and_bad_words_change_nothing(file: Path) -> None:
    leadline("make", "crm", "--scope", "read")
    before = file.read_bytes()
    unknown = leadline("revoke", "k_00000000")
    assert unknown.exit_code == 1
    assert "no key 'k_00000000'" in str(unknown.exception) + unknown.output
    for words in (["make", "x"], ["make", "x", "--scope", "everything"], ["make", "a\nb", "--scope", "read"]):
        assert leadline(*words).exit_code != 0
    assert file.read_bytes() == before
    file.write_text("[")
    for words in (["make", "x", "--scope", "read"], ["revoke", "k_1"], ["list"]):
        assert leadline(*words).exit_code == 1
    assert file.read_text() == "["


def test_a_file_of_its_own_may_be_named(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADLINE_KEYS_FILE", str(tmp_path / "mounted.json"))
    assert leadline("make", "crm", "--scope", "read").exit_code == 0
    assert len(read_keys(tmp_path / "mounted.json")) == 1
    assert not file.exists()


def test_many_at_once_lose_nothing_and_a_reader_never_finds_a_half(file: Path) -> None:
    from datetime import UTC, datetime

    from deploy.keys import make, revoke

    def come_and_go(number: int) -> str:
        _, key = make(file, f"stays {number}", [Scope.read], datetime(2026, 3, 1, tzinfo=UTC))
        _, gone = make(file, f"goes {number}", [Scope.post], datetime(2026, 3, 1, tzinfo=UTC))
        read_keys(file)
        revoke(file, gone.id)
        return key.id

    with ThreadPoolExecutor(8) as pool:
        stays = set(pool.map(come_and_go, range(24)))
    assert {key.id for key in read_keys(file)} == stays
    assert len(json.loads(file.read_text())) == 24
    assert {one.name for one in file.parent.iterdir()} == {"keys.json", "keys.json.lock"}
    assert os.stat(file).st_mode & 0o777 == 0o600
