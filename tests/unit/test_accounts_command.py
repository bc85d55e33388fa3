"""`leadline accounts`, as it is typed."""

from __future__ import annotations

import stat
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from services.insights.accounts import Accounts, BadAccounts, read_accounts
from shared.keys import Role

PASSWORD = "a quiet lake in May"
KEY = "the-operators-key"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LEADLINE_ACCOUNTS_FILE", raising=False)
    monkeypatch.setenv("LEADLINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("services.insights.accounts.COST", 2)
    return tmp_path / "data" / "accounts.json"


def leadline(*words: str, password: str = PASSWORD) -> Result:
    return CliRunner().invoke(app, ["accounts", *words], input=password + "\n")


def test_an_account_lets_its_person_in_and_its_file_holds_no_password(file: Path) -> None:
    assert leadline("add", "Hanne Vestergren", "--role", "lead-manager").exit_code == 0
    found = Accounts(KEY, file).enter("hanne vestergren", PASSWORD)
    assert found is not None
    assert (found.name, found.role, found.rep) == ("Hanne Vestergren", Role.lead_manager, None)
    assert PASSWORD not in file.read_text()
    for one in file.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    for name, password in (("Hanne Vestergren", ""), ("Hanne Vestergren", PASSWORD + " "), ("", PASSWORD)):
        assert Accounts(KEY, file).enter(name, password) is None


def test_two_with_one_password_are_kept_differently(file: Path) -> None:
    for name in ("hanne", "marek"):
        leadline("add", name, "--role", "marketer")
    hanne, marek = read_accounts(file)
    assert hanne.password.partition("$")[2] != marek.password.partition("$")[2]


def test_a_new_password_takes_the_place_of_the_old_and_a_removed_account_is_gone(file: Path) -> None:
    leadline("add", "hanne", "--role", "marketer")
    before = read_accounts(file)[0]
    assert leadline("password", "Hanne", password="another quiet lake").exit_code == 0
    assert Accounts(KEY, file).enter("hanne", PASSWORD) is None
    after = Accounts(KEY, file).enter("hanne", "another quiet lake")
    assert after is not None
    assert (after.id, after.role) == (before.id, before.role)
    assert after.stamp != before.stamp
    assert leadline("remove", "hanne").exit_code == 0
    assert read_accounts(file) == ()


def test_the_list_says_who_is_what_and_shows_no_hash(file: Path) -> None:
    assert "no account but the operator's" in leadline("list").stdout
    rep = str(uuid4())
    leadline("add", "daniel", "--role", "rep", "--rep", rep)
    (line,) = leadline("list").stdout.splitlines()
    assert line.split()[:2] == ["daniel", "rep"]
    assert line.endswith(rep)
    assert "$" not in line


@pytest.mark.parametrize(
    ("words", "password"),
    [
        (["hanne", "--role", "boss"], PASSWORD),
        (["hanne", "--role", "reader"], PASSWORD),
        (["hanne", "--role", "marketer"], "too short"),
        (["hanne", "--role", "marketer"], "x" * 201),
        (["hanne", "--role", "rep"], PASSWORD),
        (["hanne", "--role", "marketer", "--rep", str(uuid4())], PASSWORD),
        (["Operator", "--role", "operator"], PASSWORD),
        (["a\nb", "--role", "marketer"], PASSWORD),
        ([" ", "--role", "marketer"], PASSWORD),
        (["MAREK", "--role", "marketer"], PASSWORD),
    ],
)
def test_what_cannot_be_an_account_changes_nothing(file: Path, words: list[str], password: str) -> None:
    leadline("add", "marek", "--role", "marketer")
    before = file.read_bytes()
    refused = leadline("add", *words, password=password)
    assert refused.exit_code == 1
    assert file.read_bytes() == before


def test_a_broken_file_stops_the_console_and_the_command(file: Path) -> None:
    leadline("add", "marek", "--role", "marketer")
    file.write_text('[{"id": "a_1", "name": "marek", "password": "plain", "role": "marketer"}]')
    with pytest.raises(BadAccounts, match=f"The accounts in {file} cannot be read"):
        Accounts(KEY, file)
    for words in (["list"], ["remove", "marek"], ["password", "marek"]):
        assert leadline(*words).exit_code == 1
