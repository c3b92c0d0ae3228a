"""The command `run`: consume and publish until stopped."""

import logging

import click

from statscache import __version__
from statscache.cli.context import Context, pass_context
from statscache.cli.publication import log_publication
from statscache.cli.signals import stop_on_signals
from statscache.config import find
from statscache.service import run

_log = logging.getLogger("statscache")


@click.command("run")
@pass_context
def command(context: Context) -> None:
    """Consume the live sources and publish every interval, until SIGTERM."""
    file = find(context.file)
    _log.info("statscache %s, configuration: %s", __version__, file or "built in, as there is no file")
    with context.progress() as bar:
        run.run(context.config, stop_on_signals(), bar.until(log_publication), bar)
