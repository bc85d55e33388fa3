"""The pages of insights: templates in `FOLDER`; its own scripts and sheets in `STATIC`, under `/static/insights`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
