"""`leadline run` says what is in its way before it starts anything, and leaves alone what runs already."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from deploy.run import alone_in
from shared.events.topics import SERVICES
from tests.support.forked import fork
from tests.support.installation import free_ports

FREE = dict(zip((f"{name.upper()}_PORT" for name in SERVICES), map(str, free_ports(len(SERVICES))), strict=True))


def run(data_dir: Path, **settings: str) -> tuple[int, str]:
    """How it ended, and its last words; it never gets as far as a database."""
    surroundings = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment = surroundings | {"LEADLINE_DATA_DIR": str(data_dir)} | FREE | settings
    with tempfile.TemporaryFile("w+") as output:
        ended = fork("deploy.cli", "run", env=environment, output=output).wait(60)
        output.seek(0)
        return ended, output.read()


def test_a_second_one_in_the_same_folder_ends_without_touching_the_database_of_the_first(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        ended, said = run(tmp_path)
    assert ended == 1
    assert f"Leadline runs in {tmp_path} already." in said
    assert "database" not in said
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    ("setting", "value"), [("LEADLINE_CURRENCY", "euro"), ("HANDOVER_OFFER_MINUTES", "soon"), ("CAPTURE_PORT", "99999")]
)
def test_a_wrong_setting_of_any_service_is_named_before_anything_starts(
    tmp_path: Path, setting: str, value: str
) -> None:
    ended, said = run(tmp_path, **{setting: value})
    assert (ended, said.splitlines()[1].split(":")[0].strip()) == (1, setting)
    assert not (tmp_path / "postgres").exists()


def test_two_services_on_one_port_are_named_before_anything_starts(tmp_path: Path) -> None:
    ended, said = run(tmp_path, CAPTURE_PORT=FREE["SCORING_PORT"])
    assert (ended, "capture and scoring cannot both have port" in said) == (1, True), said
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("host", ["300.1.1.1", "192.0.2.1"])
def test_a_host_that_is_not_this_machines_is_not_taken_for_a_port_in_use(tmp_path: Path, host: str) -> None:
    ended, said = run(tmp_path, LEADLINE_HOST=host)
    assert (ended, "LEADLINE_HOST" in said, "PORT" in said) == (1, True, False), said


def test_a_variable_that_is_all_but_a_setting_is_named(tmp_path: Path) -> None:
    given = {"HANDOVER_OFER_MINUTES": "5", "LEADLINE_TIMEZON_FILE": "/zone", "LEADLINE_SHARED": "/elsewhere"}
    _, said = run(tmp_path, CAPTURE_PORT=FREE["SCORING_PORT"], **given)
    assert [line for line in said.splitlines() if "is no setting" in line] == [
        "HANDOVER_OFER_MINUTES is no setting and changes nothing. Is it HANDOVER_OFFER_MINUTES?",
        "LEADLINE_TIMEZON_FILE is no setting and changes nothing. Is it LEADLINE_TIMEZONE_FILE?",
    ]


def test_a_folder_that_cannot_be_written_is_named_in_a_line(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    ended, said = run(in_the_way / "data")
    assert ended == 1
    assert len(said.splitlines()) == 1, said
    assert str(in_the_way) in said


def test_the_folder_is_free_again_when_whoever_had_it_is_gone(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with alone_in(tmp_path):
            os._exit(0)
    os.waitpid(child, 0)
    with alone_in(tmp_path):
        pass
