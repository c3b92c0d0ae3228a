"""The commands `keys`: list the keys of a plugin, and drop those that an attack made up."""

import click

from statscache import kinds
from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json, show_table
from statscache.exceptions import KeysRefused
from statscache.store import dropped_keys
from statscache.timeline import iso
from statscache.wording import counted, printable

_NEWEST_KEYS = 20


@click.group("keys")
def command() -> None:
    """List the keys of plugins, and drop those that an attack made up."""


@command.command("list")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern", default="*")
@as_json
@pass_context
def list_keys(context: Context, name: str, pattern: str, json_: bool) -> None:
    """Count the keys of PLUGIN with a part that matches PATTERN, as in a shell, and list the newest of them.

    Patterns that were dropped are listed too.
    """
    with context.installation() as installation:
        plugin = installation.registry.get(name)
        with installation.database.reading() as connection:
            found = kinds.matching_keys(connection, plugin.name, pattern, _NEWEST_KEYS)
            dropped = dropped_keys.load(connection).get(name, ())
    newest = [{"key": list(key), "total": total, "first": first} for key, total, first in found.newest]
    if json_:
        show_json({"keys": found.all, "matching": found.matching, "newest": newest, "dropped": list(dropped)})
        return
    click.echo(f"{found.matching:,} of {counted(found.all, 'key')} of {name} match")
    if newest:
        columns = [*plugin.dimensions, "total", "first"]
        rows = [[*(part or "-" for part in key), f"{total:,}", iso(first)] for key, total, first in found.newest]
        show_table(columns, rows, frozenset({"total"}))
    for each in dropped:
        click.echo(f"dropped: {printable(each)}")


@command.command("drop")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern")
@pass_context
def drop_keys(context: Context, name: str, pattern: str) -> None:
    """Remove the keys of PLUGIN with a part that matches PATTERN, as in a shell, and do not count such keys again.

    The next publication no longer has them. Nothing else is lost, however old it is.
    """
    with context.installation() as installation:
        number = installation.ingest.plugins.drop_keys(name, pattern)
    click.echo(f"dropped {counted(number, 'key')} of {name}; keys that match are no longer counted")


@command.command("restore")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern")
@pass_context
def restore_keys(context: Context, name: str, pattern: str) -> None:
    """Count the keys of PLUGIN again that were dropped by PATTERN: it folds the journal from its beginning.

    It counts nothing of messages that were removed from the journal.
    """
    with context.installation() as installation:
        if not installation.ingest.plugins.restore_keys(name, pattern):
            raise KeysRefused(f"no keys of {name} were dropped by {pattern!r}: see `statscache keys list {name}`")
        while installation.ingest.catch_up():
            pass
    click.echo(f"{name} counts such keys again")
