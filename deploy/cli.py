"""The command `leadline`: run all here, make keys and accounts, import leads, tend to what is held, tell again."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from shared.keys import Role, Scope
from shared.settings import Settings

if TYPE_CHECKING:
    from deploy.postgres import Database

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
held_app = typer.Typer(
    no_args_is_help=True, help="Events that wait because they, or one before them, could not be applied."
)
app.add_typer(held_app, name="held")
keys_app = typer.Typer(
    no_args_is_help=True, help="Keys beside the operator's, each for what it needs; services see a change at once."
)
app.add_typer(keys_app, name="keys")
accounts_app = typer.Typer(no_args_is_help=True, help="People who sign in to the console; a change counts at once.")
app.add_typer(accounts_app, name="accounts")


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
    """Show what waits, oldest first, with the reason; then what was decided lately."""
    from deploy.held import tended, waiting

    rows = asyncio.run(waiting(_database_url(), service))
    if not rows:
        typer.echo("Nothing is held.")
    for row in rows:
        typer.echo(
            f"{row.held_at:%Y-%m-%d %H:%M:%S}Z  {row.service:<9} {row.lead_id}  {row.topic:<15} seq {row.seq:<5} "
            f"{row.reason:<7} {row.detail}"
        )
    for row in asyncio.run(tended(_database_url(), service)):
        typer.echo(
            f"{row.at:%Y-%m-%d %H:%M:%S}Z  {row.service:<9} {row.lead_id}  {row.topic:<15} seq {row.seq:<5} "
            f"{row.deed} by {row.who}: {row.reason}"
        )


@held_app.command("retry")
def held_retry(
    lead: Annotated[UUID | None, typer.Argument(help="The lead's id; without it all that failed.")] = None,
    service: Name = "",
) -> None:
    """Try failed events again, and then what waits behind them."""
    from deploy.held import retry

    count = asyncio.run(retry(_database_url(), service, lead, datetime.now(UTC)))
    if not count:
        typer.echo("Nothing is held that could be tried again.")
    else:
        typer.echo(f"{count} held event{'s' * (count > 1)} will be tried again within a second or two.")


Held = Annotated[UUID, typer.Argument(help="The lead's id.")]
Reason = Annotated[str, typer.Option(help="Why, for those who look later; without names and addresses.")]
Who = Annotated[str, typer.Option(help="Who decides; you, unless said otherwise.", default_factory=getuser)]


@held_app.command("release")
def held_release(lead: Held, reason: Reason, by: Who, service: Name = "") -> None:
    """Try a lead's failed event again now, and then what waits behind it."""
    _tend(lead, "release", reason, by, service)


@held_app.command("skip")
def held_skip(lead: Held, reason: Reason, by: Who, service: Name = "") -> None:
    """Count a lead's failed event as heard, without its effect; then comes what waits behind it."""
    _tend(lead, "skip", reason, by, service)


def _tend(lead: UUID, deed: Literal["release", "skip"], reason: str, by: str, service: str) -> None:
    from deploy.held import tend

    for words in (reason, by):
        if not words.strip() or not words.isprintable() or len(words) > 200:
            raise SystemExit("The reason, and who decides, are a line of up to 200 characters each.")
    chosen = asyncio.run(tend(_database_url(), service, lead, deed, reason.strip(), by.strip(), datetime.now(UTC)))
    for event in chosen:
        typer.echo(f"{event}: {deed} within a second or two.")


@keys_app.command("make")
def keys_make(
    name: Annotated[str, typer.Argument(help="For whom or what it is.")],
    scope: Annotated[list[Scope], typer.Option(help="What it is for; may be given several times.")],
) -> None:
    """Make a key and print it, this once."""
    from deploy.keys import keys_file, make

    if not name.strip() or not name.isprintable() or len(name) > 80:
        raise SystemExit("The name is a line of up to 80 characters.")
    file = keys_file()
    given, key = make(file, name.strip(), scope, datetime.now(UTC))
    typer.echo(f"{key.id} for {key.name} is in {file}. The key itself is shown this once:", err=True)
    typer.echo(given)


@keys_app.command("list")
def keys_list() -> None:
    """Show the keys there are: id, name, when it was made, scopes."""
    from deploy.keys import as_text, keys_file
    from shared.keys import read_keys

    typer.echo(as_text(read_keys(keys_file())) or "There is no key but the operator's.")


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")]) -> None:
    """Take a key back."""
    from deploy.keys import keys_file, revoke

    key = revoke(keys_file(), key_id)
    typer.echo(f"{key.id} for {key.name} opens nothing from now on; services know within two seconds.")


ROLES = {role.replace("_", "-"): role for role in Role if role is not Role.reader}
Login = Annotated[str, typer.Argument(metavar="NAME", help="What the person types to sign in.")]


@accounts_app.command("add")
def accounts_add(
    name: Login,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    rep: Annotated[UUID | None, typer.Option(help="Of a rep: the id in GET /v1/reps.")] = None,
) -> None:
    """Make an account; the password is asked for, or read from a pipe."""
    from deploy.accounts import accounts_file, add

    if role not in ROLES:
        raise SystemExit(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    file = accounts_file()
    account = add(file, name.strip(), _password(), ROLES[role], rep, datetime.now(UTC))
    typer.echo(f"{account.name} may sign in as {role}; the account is in {file}.")


@accounts_app.command("list")
def accounts_list() -> None:
    """Show the accounts there are: name, role, when it was made, and of a rep whose worklist it is."""
    from deploy.accounts import accounts_file, as_text
    from services.insights.accounts import read_accounts

    typer.echo(as_text(read_accounts(accounts_file())) or "There is no account but the operator's.")


@accounts_app.command("password")
def accounts_password(name: Login) -> None:
    """Give somebody a new password; whoever was signed in with the old one is signed out."""
    from deploy.accounts import accounts_file, set_password

    set_password(accounts_file(), name.strip(), _password())
    typer.echo(f"The new password of {name.strip()} counts from now on.")


@accounts_app.command("remove")
def accounts_remove(name: Login) -> None:
    """Take an account away; whoever was signed in by it is signed out."""
    from deploy.accounts import accounts_file, remove

    remove(accounts_file(), name.strip())
    typer.echo(f"{name.strip()} is signed out, and cannot sign in any more.")


def _password() -> str:
    """Never an argument, which everybody on the machine could read."""
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")


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


@app.command()
def replay(
    topic: Annotated[str, typer.Argument(help="Such as leads.activity; `leadline topics` shows them all.")],
    since: Annotated[str, typer.Option(help="2026-11-21, 2026-11-21T14:30Z, or how long ago: 90m, 36h, 7d.")] = "",
    lead: Annotated[UUID | None, typer.Option(help="The events of this lead only.")] = None,
) -> None:
    """Bring a topic's events to its hearers again: only what one of them missed has an effect."""
    from deploy.replay import moment_of, topic_named
    from deploy.replay import replay as bring_again

    wanted, begin = topic_named(topic), moment_of(since, datetime.now(UTC))
    asyncio.run(bring_again(_settings(), wanted, begin, lead))


@app.command()
def restore(
    service: Annotated[str, typer.Argument(help="scoring, nurture or handover, not yet started.")],
) -> None:
    """Have a service whose database was restored alone hear from Kafka what has been said since."""
    from deploy.restore import restore as hear_since

    asyncio.run(hear_since(_settings(), service))


@app.command("move-to-kafka")
def move_to_kafka() -> None:
    """Bring all that was said into Kafka while services still carry it by PostgreSQL; then restart them with Kafka."""
    from deploy.move_to_kafka import move

    asyncio.run(move(_settings()))


@app.command("rebuild-kafka")
def rebuild_kafka() -> None:
    """Fill a Kafka that has lost its data from the logs of the services, while they run."""
    from deploy.kafka_rebuild import rebuild

    asyncio.run(rebuild(_settings()))


@app.command()
def rebuild(
    service: Annotated[str, typer.Argument(help="insights; the others decide.")],
) -> None:
    """Make a service's tables anew from everything that was ever said."""
    from deploy.insights_rebuild import rebuild as rebuild_insights

    if service != "insights":
        raise SystemExit(f"Only insights can be made anew: what {service} decided would be decided once more.")
    asyncio.run(rebuild_insights(_settings()))


def _settings() -> Settings:
    """The settings that the services here run with. Where they are stopped, their database runs until we end."""
    from deploy.run import alone_in

    database = _database()
    if not database.alive():
        ending = ExitStack()
        ending.enter_context(alone_in(_data_dir()))
        ending.callback(database.stop)
        atexit.register(ending.close)
        database.start()
    os.environ["DATABASE_URL"] = database.dsn()
    _use_key_of_this_installation()
    # What we wait for is said in our own words; the client's would drown them.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return Settings.load()


def _database_url() -> str:
    """The installation's database: DATABASE_URL, else the one that `make run` keeps in the data folder."""
    database = _database()
    if not database.alive():
        raise SystemExit("Leadline is not running here. Start it with `make run`, or set DATABASE_URL.")
    return database.dsn()


def _database() -> Database:
    from deploy.postgres import database_for

    folder = _data_dir() / "postgres"
    given = os.environ.get("DATABASE_URL") or None
    if not given and not folder.exists():
        raise SystemExit("There is no Leadline here. Start it with `make run`, or set DATABASE_URL.")
    return database_for(folder, given)


def _use_key_of_this_installation() -> None:
    from deploy.run import prepare_environment

    prepare_environment(_data_dir())


def _data_dir() -> Path:
    return Path(os.environ.get("LEADLINE_DATA_DIR") or ".leadline").absolute()


def main() -> None:
    """What is in the way of a command is said in a line; the trace of a fault of ours is printed."""
    from deploy.postgres import PostgresFailed

    try:
        app(prog_name="leadline")
    except (PostgresFailed, OSError) as error:
        raise SystemExit(f"leadline: {error}") from None
    except Exception as error:
        from asyncpg import InterfaceError, PostgresError

        if isinstance(error, (PostgresError, InterfaceError)):
            raise SystemExit(f"leadline: the database says: {error}") from None
        raise


if __name__ == "__main__":
    main()
