"""The commands `quarantine`: list, show, retry and drop quarantined items."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
import orjson

from statscache.cli.context import EXIT_FINDINGS, Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import WIDTH, clipped, show_json
from statscache.store import quarantine
from statscache.store.contents import contents, topic
from statscache.store.quarantine import Quarantined
from statscache.timeline import iso
from statscache.wording import counted, printable

_SHORTEST_TOPIC = 10


@click.group("quarantine")
def command() -> None:
    """Inspect and retry quarantined items: malformed lines, and messages on which a plugin raised."""


@command.command("list")
@as_json
@pass_context
def list_command(context: Context, json_: bool) -> None:
    """List quarantined items, oldest first: id, since when, for which plugin or everyone, topic, and the reason."""
    with context.installation() as installation, installation.database.reading() as connection:
        items = quarantine.listed(connection)
        topics = {item.id: topic(data) for item, data in contents(connection, items)}
    if json_:
        show_json([{**asdict(item), "topic": topics[item.id]} for item in items])
        return
    if not items:
        click.echo("the quarantine is empty")
        return
    for item in items:
        about = f"{item.id}  {iso(item.quarantined_at)}  {item.plugin or 'everyone'}  "
        click.echo(about + clipped(printable(topics[item.id]) or "-", max(_SHORTEST_TOPIC, WIDTH - len(about))))
        click.echo(clipped(f"    {printable(' '.join(item.reason.split()))}", WIDTH))


@command.command()
@click.argument("id", type=int)
@as_json
@pass_context
def show(context: Context, id: int, json_: bool) -> None:
    """Show the quarantined item ID: its topic, size and reason, and the message itself."""
    with context.installation() as installation, installation.database.reading() as connection:
        items = _known(quarantine.listed(connection, (id,)), (id,))
        ((item, data),) = contents(connection, items)
    message = _readable(data)
    if json_:
        show_json({**asdict(item), "topic": topic(data), "message": message})
        return
    click.echo(f"topic   {printable(topic(data)) or '-'}")
    click.echo(f"size    {counted(item.size, 'byte')}")
    click.echo(f"for     {item.plugin or 'everyone'}")
    click.echo(f"since   {iso(item.quarantined_at)}, from {printable(item.source)}")
    click.echo(f"reason  {printable(' '.join(item.reason.split()))}")
    click.echo()
    if message is None:
        click.echo("the message is no longer in the journal")
    elif isinstance(message, str):
        click.echo(printable(message))
    else:
        lines = orjson.dumps(message, option=orjson.OPT_INDENT_2).decode().split("\n")
        click.echo("\n".join(map(printable, lines)))


def _readable(data: bytes | None) -> Any:
    """Return the JSON that bytes hold, or else their text, with invalid UTF-8 escaped."""
    if data is None:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode(errors="backslashreplace")


@command.command()
@click.argument("ids", nargs=-1, type=int)
@pass_context
def retry(context: Context, ids: tuple[int, ...]) -> None:
    """Retry the quarantined items IDS, or all of them."""
    with context.installation() as installation:
        with installation.database.reading() as connection:
            items = _known(quarantine.listed(connection, ids), ids)
        done = [installation.ingest.retry(item) for item in items]
    click.echo(f"{sum(done):,} of {len(items):,} are settled; {len(items) - sum(done):,} stay in quarantine")
    if not all(done):
        raise click.exceptions.Exit(EXIT_FINDINGS)


@command.command()
@click.argument("ids", nargs=-1, type=int, required=True)
@pass_context
def drop(context: Context, ids: tuple[int, ...]) -> None:
    """Delete the quarantined items IDS."""
    with context.installation() as installation, installation.database.writing() as connection:
        _known(quarantine.listed(connection, ids), ids)
        dropped = quarantine.drop(connection, ids)
    click.echo(f"dropped {dropped:,}")


def _known(items: Sequence[Quarantined], ids: Sequence[int]) -> Sequence[Quarantined]:
    if unknown := sorted(set(ids) - {item.id for item in items}):
        listed = ", ".join(map(str, unknown))
        raise click.UsageError(f"there is no quarantined item {listed}: see `statscache quarantine list`")
    return items
