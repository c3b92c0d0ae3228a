"""Commands that go on until they are stopped: `run`, `consume`."""

import logging

import click

from statscache import __version__
from statscache.cli.context import Context, passed
from statscache.cli.jobs import stop_on_signals, tell
from statscache.config import find
from statscache.service import run

_log = logging.getLogger("statscache")


@click.command("run")
@passed
def run_command(context: Context) -> None:
    """Consume the live sources and publish every interval, until SIGTERM."""
    file = find(context.file)
    _log.info("statscache %s, configuration: %s", __version__, file or "built in, as there is no file")
    with context.progress() as bar:
        run.run(context.config, stop_on_signals(), bar.until(tell), bar)


@click.command()
@passed
def consume(context: Context) -> None:
    """Consume the live sources until SIGTERM; `publish --every` is the other half of `run`."""
    run.consume(context.config, stop_on_signals())
