"""Each sentence about who may import whom holds in this tree, and is seen to break where it is violated."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

VIOLATIONS = {
    "services-meet-on-topics": ("services/capture/peek.py", "import services.scoring"),
    "shared-knows-no-service": ("shared/peek.py", "import services.capture"),
    "services-run-anywhere": ("services/capture/peek.py", "import deploy.postgres"),
    "decisions-do-no-io": ("services/scoring/domain/peek.py", "def later() -> None:\n    import asyncio\n    asyncio"),
    "rooms-point-inward": ("services/capture/domain/peek.py", "import services.capture.app"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in ("services", "shared", "deploy"):
        shutil.copytree(
            PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
        )
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts_kept(tree: Path, *chosen: str) -> tuple[bool, str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    for contract in chosen:
        command += ["--contract", contract]
    outcome = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return outcome.returncode == 0, outcome.stdout + outcome.stderr


def write_module(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for package in (path.parent, path.parent.parent):
        (package / "__init__.py").touch()
    path.write_text(text + "\n")


def test_every_contract_holds(tree: Path) -> None:
    kept, said = contracts_kept(tree)
    assert kept, said


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_contract_breaks_where_it_is_violated(tree: Path, contract: str) -> None:
    module, text = VIOLATIONS[contract]
    if contract == "rooms-point-inward":
        write_module(tree / "services/capture/app.py", "")
    write_module(tree / module, text)
    kept, said = contracts_kept(tree, contract)
    assert not kept
    assert "BROKEN" in said, said
