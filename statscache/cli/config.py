"""The commands `config`: show and check the configuration."""

import click

from statscache.cli.context import Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json
from statscache.config import find
from statscache.config.text import as_toml, shown
from statscache.installation import load_plugins


@click.group("config")
def command() -> None:
    """Show or check the configuration."""


@command.command("check")
@pass_context
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


@command.command()
@as_json
@pass_context
def show(context: Context, json_: bool) -> None:
    """Print the effective configuration, as TOML with the origin of each value; passwords are left out."""
    if json_:
        show_json(shown(context.config))
    else:
        click.echo(as_toml(context.config, find(context.file)), nl=False)
