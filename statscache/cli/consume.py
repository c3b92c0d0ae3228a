"""The command `consume`: one half of `run`."""

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.signals import stop_on_signals
from statscache.service import run


@click.command("consume")
@pass_context
def command(context: Context) -> None:
    """Consume the live sources until SIGTERM; `publish --every` is the other half of `run`."""
    run.consume(context.config, stop_on_signals())
