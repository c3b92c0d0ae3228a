"""The command `export-person`: all data about a person."""

import sys

import click

from statscache.cli.context import Context, pass_context
from statscache.privacy.export import export


@click.command("export-person")
@click.argument("name")
@pass_context
def command(context: Context, name: str) -> None:
    """Print all data about the person NAME, as JSON."""
    with context.installation() as installation:
        for part in export(installation, name):
            sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
