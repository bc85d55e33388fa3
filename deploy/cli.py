"""The command `leadline`: run everything here, look at the map of topics, import leads, tend to what is held."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
held_app = typer.Typer(
    no_args_is_help=True, help="Events that wait because they, or one before them, could not be applied."
)
app.add_typer(held_app, name="held")


@app.command()
def run() -> None:
    """Run all five services here, with a database of their own."""
    from deploy.run import run as run_all

    run_all()


@app.command()
def topics() -> None:
    """Print which service says and hears what."""
    from deploy.topic_map import as_text, declared

    typer.echo(as_text(declared()))


@app.command()
def migrate() -> None:
    """Bring the tables of all services up to date; safe to run twice."""
    from shared.events.topics import SERVICES
    from shared.migrations import migrate as migrate_one

    url = _database_url()
    for name in SERVICES:
        changed = asyncio.run(migrate_one(name, url))
        typer.echo(f"{name}: {'brought up to date' if changed else 'up to date'}")


Name = Annotated[str, typer.Option(help="One service only.")]


@held_app.command("list")
def held_list(service: Name = "") -> None:
    """Show what waits, oldest first, with the reason."""
    from deploy.held import waiting

    rows = asyncio.run(waiting(_database_url(), service))
    if not rows:
        typer.echo("Nothing is held.")
    for row in rows:
        typer.echo(
            f"{row.held_at:%Y-%m-%d %H:%M:%S}Z  {row.service:<9} {row.lead_id}  {row.topic:<15} seq {row.seq:<5} "
            f"{row.reason:<7} {row.detail}"
        )


@held_app.command("retry")
def held_retry(
    lead: Annotated[UUID | None, typer.Argument(help="The lead's id; without it all that failed.")] = None,
    service: Name = "",
) -> None:
    """Try failed events again, and then what waits behind them."""
    from deploy.held import retry

    count = asyncio.run(retry(_database_url(), service, lead, datetime.now(UTC)))
    typer.echo(f"{count} held events will be tried again within a second or two.")


@app.command("import")
def import_leads(
    file: Annotated[Path, typer.Argument(help="A CSV file.", exists=True, dir_okay=False)],
    map_file: Annotated[Path, typer.Option("--map", help="Which column becomes what.", exists=True, dir_okay=False)],
    write: Annotated[
        bool, typer.Option("--write", help="Write; without it the import only says what it would do.")
    ] = False,
    start: Annotated[
        str, typer.Option(help="What the imported leads may start: nothing, journeys or handover.")
    ] = "nothing",
    errors: Annotated[Path | None, typer.Option(help="Where rows that cannot be taken go.")] = None,
) -> None:
    """Import leads as history: they are counted and scored at their own time and start nothing by themselves."""
    from deploy.importing import import_file

    _use_key_of_this_installation()
    raise typer.Exit(import_file(_database_url(), file, map_file, write=write, start=start, errors=errors))


def _database_url() -> str:
    """The installation's database: DATABASE_URL, else the one that `make run` keeps in the data folder."""
    from deploy.postgres import database_for

    data_dir = Path(os.environ.get("LEADLINE_DATA_DIR") or ".leadline").absolute()
    database = database_for(data_dir / "postgres", os.environ.get("DATABASE_URL") or None)
    if not database.alive():
        raise SystemExit("Leadline is not running here. Start it with `make run`, or set DATABASE_URL.")
    return database.dsn()


def _use_key_of_this_installation() -> None:
    from deploy.run import prepare_environment

    prepare_environment(Path(os.environ.get("LEADLINE_DATA_DIR") or ".leadline").absolute())


def main() -> None:
    app(prog_name="leadline")


if __name__ == "__main__":
    main()
