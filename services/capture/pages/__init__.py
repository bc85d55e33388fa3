"""The pages of capture: templates in `FOLDER`; its own scripts and sheets in `STATIC`, under `/static/capture`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
