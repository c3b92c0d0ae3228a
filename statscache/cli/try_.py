"""The command `try`: a plugin on the messages of a file, without a database."""

from collections.abc import Iterator
from pathlib import Path

import click

from statscache import testing
from statscache.cli.context import Context, pass_context
from statscache.cli.output import show_json
from statscache.installation import load_plugins
from statscache.service import backfill
from statscache.sources import archive


@click.command("try")
@click.argument("plugin")
@click.argument("file", type=click.Path(path_type=Path))
@pass_context
def command(context: Context, plugin: str, file: Path) -> None:
    """Run PLUGIN on the messages in FILE, without a database, and print the documents that it makes."""
    config = context.config
    every = (
        config.plugins.model_copy(update={"enabled": ("*",), "disabled": ()}),
        config.privacy.model_copy(update={"people": True}),
    )
    found = load_plugins(*every).get(plugin)
    limits = {"max_line": config.bus.max_line, "max_lines": backfill.PIECE, "max_bytes": backfill.PIECE_BYTES}
    wrong: list[str] = []

    def lines() -> Iterator[bytes]:
        for chunk in archive.read(file, offset=0, **limits):
            wrong.extend(reason for _, reason in chunk.oversize)
            yield from chunk.lines

    trial = testing.try_plugin(found, lines(), environments=config.bus.environments, budget=config.plugins.time_budget)
    show_json(trial.documents)
    wrong += [str(failure) for failure in trial.failures]
    if trial.suspended:
        wrong.append(f"{found.name} would be suspended: {trial.suspended}")
    for reason in wrong:
        click.echo(f"statscache: {reason}", err=True)
    if wrong:
        raise click.exceptions.Exit(1)
