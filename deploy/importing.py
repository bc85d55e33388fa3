"""`leadline import`: the importer of capture on a terminal, with a progress bar and its report in words."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from services.capture.app import service
from services.capture.importing.encoding import NotATable
from services.capture.importing.findings import MapError
from services.capture.importing.report import Report
from services.capture.importing.run import Progress as Step
from services.capture.importing.run import Start, run_import
from services.capture.settings import CaptureSettings
from shared.errors import Problem
from shared.logs import configure_logs
from shared.service import Runtime

STARTS = ("nothing", "journeys", "handover")
_STAGES = {"rows": "Reading rows", "judging": "Judging leads"}


def import_file(database_url: str, file: Path, map_file: Path, *, write: bool, start: str, errors: Path | None) -> int:
    """Answers the exit code: 0, 1 when some rows were not taken, 2 when nothing could be done."""
    console = Console()
    if start not in STARTS:
        console.print(f"--start is one of {', '.join(STARTS)}, not {start!r}")
        return 2
    configure_logs("import", console=True)
    os.environ["DATABASE_URL"] = database_url
    target = errors or file.with_name(f"{file.stem}.errors.csv")
    try:
        report = asyncio.run(_run(console, file, map_file.read_text("utf-8"), write, start, target))
    except (NotATable, MapError, Problem, UnicodeDecodeError) as error:
        console.print(f"[red]Not imported.[/red] {error}", highlight=False)
        return 2
    _tell(console, report, write, target)
    return 1 if report.quarantined else 0


async def _run(console: Console, file: Path, map_text: str, write: bool, start: Start, errors: Path) -> Report:
    columns = (TextColumn("{task.description:<14}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    runtime = Runtime(service, CaptureSettings.load())
    with Progress(*columns, console=console) as bars:
        tasks = {stage: bars.add_task(words, total=None, visible=False) for stage, words in _STAGES.items()}

        def show(step: Step) -> None:
            bars.update(tasks[step.stage], completed=step.done, total=step.total or 1, visible=True)

        async with runtime.running(()):
            await asyncio.wait_for(runtime.prepared.wait(), 60)
            return await run_import(
                runtime, file, map_text, dry_run=not write, start=start, progress=show, errors=errors
            )


def _tell(console: Console, report: Report, write: bool, errors: Path) -> None:
    console.print("Imported:" if write else "This is what an import would do; nothing was written:")
    for line in report.in_words():
        console.print(line, highlight=False, markup=False)
    if report.quarantined:
        console.print(f"The rows that were not taken, with the reason of each: {errors}", highlight=False)
    if not write:
        console.print("Run it again with --write to import.")
