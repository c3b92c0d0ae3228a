"""Commands that look after an installation: `plugins`, `keys`, `verify`, `config`, `db`."""

from typing import Any

import click

from statscache import kinds
from statscache.cli.context import WANTING, WIDTH, Context, as_json, clipped, passed, show_json, show_table
from statscache.config import check_database, find
from statscache.config.text import as_toml
from statscache.exceptions import KeysRefused
from statscache.installation import load_plugins
from statscache.monitoring.health import health
from statscache.plugins import Plugin
from statscache.store import Database, dropped_keys, plain
from statscache.store.copying import copy
from statscache.store.revision import REVISION
from statscache.timeline import iso
from statscache.verify.database import check
from statscache.wording import counted, printable

_NEWEST_KEYS = 20

_LISTED = "name", "title", "kind", "unit", "dimensions", "topics", "unbounded"
"""What is listed of the metadata of a plugin."""


@click.command()
@click.option("--resume", metavar="NAME", help="Resume this suspended plugin where it stopped.")
@as_json
@passed
def plugins(context: Context, resume: str | None, json_: bool) -> None:
    """List the plugins that are installed: those that are active, and those that are turned off, with the setting."""
    with context.installation() as installation:
        ingest = installation.ingest
        if resume:
            ingest.resume(resume)
            while ingest.catch_up():
                pass
        with installation.database.reading() as connection:
            state = health(plain.over(connection), ())
        states = {row["name"]: row for row in state["plugins"]}
        listed = [_about(plugin, states[plugin.name]["state"]) for plugin in installation.registry]
        listed += [_about(cls, f"off ({setting})") for cls, setting in installation.registry.turned_off.items()]
        problems = state["problems"]
    if json_:
        show_json({"plugins": listed, "problems": problems})
        return
    rows = [[row["name"], row["kind"], row["state"].partition(" ")[0]] for row in listed]
    left = WIDTH - sum(max(map(len, column)) + 2 for column in zip(*rows, ("name", "kind", "state"), strict=True))
    for row, about in zip(rows, listed, strict=True):
        row.append(clipped(", ".join(about["dimensions"]) or "-", left))
    show_table(["name", "kind", "state", "dimensions"], rows)
    by_setting: dict[str, list[str]] = {}
    for cls, setting in installation.registry.turned_off.items():
        by_setting.setdefault(setting, []).append(cls.name)
    for setting, names in by_setting.items():
        click.echo(f"off by {setting}: {', '.join(names)}")


def _about(plugin: Plugin | type[Plugin], state: str) -> dict[str, Any]:
    info = plugin.info().to_dict()
    return {**{field: info[field] for field in _LISTED}, "version": plugin.version, "state": state}


@click.group("keys")
def keys_group() -> None:
    """List the keys of plugins, and drop those that an attack made up."""


@keys_group.command("list")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern", default="*")
@as_json
@passed
def list_keys(context: Context, name: str, pattern: str, json_: bool) -> None:
    """Count the keys of PLUGIN of which a part matches PATTERN, as in a shell, and list the newest of them.

    What was dropped is listed too.
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


@keys_group.command("drop")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern")
@passed
def drop_keys(context: Context, name: str, pattern: str) -> None:
    """Remove the keys of PLUGIN of which a part matches PATTERN, as in a shell, and do not count such keys again.

    The next publication has them no more. Nothing else is lost, however old it is.
    """
    with context.installation() as installation:
        number = installation.ingest.plugins.drop_keys(name, pattern)
    click.echo(f"dropped {counted(number, 'key')} of {name}; keys that match are not counted any more")


@keys_group.command("restore")
@click.argument("name", metavar="PLUGIN")
@click.argument("pattern")
@passed
def restore_keys(context: Context, name: str, pattern: str) -> None:
    """Count the keys of PLUGIN again that were dropped by PATTERN: it folds the journal from its beginning.

    It counts nothing of messages that the journal keeps no longer.
    """
    with context.installation() as installation:
        if not installation.ingest.plugins.restore_keys(name, pattern):
            raise KeysRefused(f"no keys of {name} were dropped by {pattern!r}: see `statscache keys list {name}`")
        while installation.ingest.catch_up():
            pass
    click.echo(f"{name} counts such keys again")


@click.group("config")
def config_group() -> None:
    """Show or check the configuration."""


@config_group.command("check")
@passed
def check_config(context: Context) -> None:
    """Check the configuration, and all that it names on this machine; servers that do not answer are warnings."""
    from statscache.service import preflight, reachable

    config = context.load()
    context.warn(load_plugins(config.plugins, config.privacy))
    preflight.refuse(preflight.database(config), preflight.sources(config), preflight.targets(config.publish))
    preflight.refuse(preflight.schema(config))
    for warning in reachable.warnings(config):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{find(context.file) or 'the built-in configuration'} is in order")


@config_group.command()
@as_json
@passed
def show(context: Context, json_: bool) -> None:
    """Print the effective configuration, as TOML with the origin of each value; passwords are left out."""
    url = Database(context.config.database.url).engine.url.render_as_string(hide_password=True)
    if json_:
        values = context.config.model_dump(mode="json", by_alias=True)
        values["database"]["url"] = url
        show_json(values)
    else:
        click.echo(as_toml(context.config, url, find(context.file)), nl=False)


@click.group("db")
def db_group() -> None:
    """Manage the database."""


@db_group.command("upgrade")
@passed
def upgrade_command(context: Context) -> None:
    """Bring the database to this release's schema."""
    database = Database(context.config.database.url)
    before = database.revision()
    if before is not None and before > REVISION:
        database.prepare()
    database.upgrade()
    database.close()
    click.echo(f"the database has schema {REVISION}" + (", as before" if before == REVISION else ""))


@db_group.command("check")
@click.option("--quick", is_flag=True, help="Skip the digests of objects, and the journal.")
@passed
def check_command(context: Context, *, quick: bool) -> None:
    """Check the database for damage: its file, its invariants, all digests; exit 3 if something is wrong."""
    database = Database(context.config.database.url)
    database.prepare()
    registry = load_plugins(context.config.plugins, context.config.privacy)
    found = False
    for line in check(database, registry, quick=quick):
        click.echo(line)
        found = True
    database.close()
    if found:
        raise click.exceptions.Exit(WANTING)
    click.echo("all invariants hold" if quick else "all invariants hold, and all digests are right")


def _checked(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    try:
        return check_database(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@db_group.command("copy")
@click.argument("url", callback=_checked)
@passed
def copy_command(context: Context, url: str) -> None:
    """Copy everything into the empty database at URL, of whatever kind.

    Stop all consumers and publishers before; then put URL into the configuration, and start it again. A password
    need not be in URL: PostgreSQL's PGPASSWORD and ~/.pgpass are heeded.
    """
    from statscache.plugins import BaseModel

    destination = Database(url)
    rows = 0
    with context.installation() as installation:
        # Plugins are loaded by now, and with them the tables that they keep.
        for table, number in copy(installation.database, destination, BaseModel.metadata.sorted_tables):
            click.echo(f"{table}: {counted(number, 'row')}", err=True)
            rows += number
    destination.close()
    click.echo(f"copied {counted(rows, 'row')}")
