"""The command `metrics`: the numbers of `status`, for Prometheus."""

import click

from statscache.cli.context import Context, pass_context
from statscache.monitoring.metrics import text


@click.command("metrics")
@pass_context
def command(context: Context) -> None:
    """Print the numbers of `status` in the text format of Prometheus."""
    with context.installation() as installation:
        click.echo(text(installation), nl=False)
