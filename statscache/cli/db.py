"""The commands `db`: upgrade, check and copy the database."""

import click

from statscache.cli.context import EXIT_FINDINGS, Context, pass_context
from statscache.config import check_database
from statscache.installation import load_plugins
from statscache.store import Database
from statscache.store.copying import copy
from statscache.store.revision import REVISION
from statscache.verify.database import check
from statscache.wording import counted


@click.group("db")
def command() -> None:
    """Manage the database."""


@command.command("upgrade")
@pass_context
def upgrade_command(context: Context) -> None:
    """Bring the database to this release's schema."""
    database = Database(context.config.database.url)
    before = database.revision()
    if before is not None and before > REVISION:
        database.prepare()
    database.upgrade()
    database.close()
    click.echo(f"the database has schema {REVISION}" + (", as before" if before == REVISION else ""))


@command.command("check")
@click.option("--quick", is_flag=True, help="Skip the digests of objects, and the journal.")
@pass_context
def check_command(context: Context, *, quick: bool) -> None:
    """Check the database for damage: its file, its invariants, all digests; exit 3 if something is wrong."""
    database = Database(context.config.database.url)
    if database.revision() is None:
        where = database.engine.url.render_as_string(hide_password=True)
        click.echo(f"the database {where} is empty: look at `[database] url`, or restore a backup")
        raise click.exceptions.Exit(EXIT_FINDINGS)
    database.prepare()
    registry = load_plugins(context.config.plugins, context.config.privacy)
    found = False
    for line in check(database, registry, quick=quick):
        click.echo(line)
        found = True
    database.close()
    if found:
        raise click.exceptions.Exit(EXIT_FINDINGS)
    click.echo("all invariants hold" if quick else "all invariants hold, and all digests are right")


def _checked(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    try:
        return check_database(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@command.command("copy")
@click.argument("url", callback=_checked)
@pass_context
def copy_command(context: Context, url: str) -> None:
    """Copy everything into the empty database at URL, of whatever kind.

    Stop all consumers and publishers first. Afterwards put URL into the configuration, and start them again. The
    password may be left out of URL: PostgreSQL's PGPASSWORD and ~/.pgpass are used.
    """
    from statscache.plugins import BaseModel

    destination = Database(url)
    rows = 0
    with context.installation() as installation:
        # The plugins are loaded now, so their tables are known.
        for table, number in copy(installation.database, destination, BaseModel.metadata.sorted_tables):
            click.echo(f"{table}: {counted(number, 'row')}", err=True)
            rows += number
    destination.close()
    click.echo(f"copied {counted(rows, 'row')}")
